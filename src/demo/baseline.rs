//! The baseline of the demo: the summer days that the model was fitted on, and what it says of them.

use super::calendar::is_fitted;
use super::{Classifier, Day, DemoError, days};
use crate::decode::{Cell, Column, Rows};
use crate::drift::{Baseline, BaselineBuilder, BaselineSettings};
use crate::sketch::Role;

/// Built anew at each start, from 153 days.
pub fn baseline() -> Result<Baseline, DemoError> {
    let fitted: Vec<_> = days()?.into_iter().filter(|day| is_fitted(day.date)).collect();
    let (inputs, outputs) = rows(&Classifier::embedded()?, &fitted);
    let mut builder = BaselineBuilder::new(BaselineSettings::default());
    builder.observe(Role::Input, &inputs);
    builder.observe(Role::Output, &outputs);
    Ok(builder.finish()?)
}

/// The days as the sidecar decodes them: what the model is asked, and what it answers.
pub(super) fn rows(classifier: &Classifier, days: &[Day]) -> (Rows, Rows) {
    let mut inputs = Rows::new();
    for (feature, name) in Day::FEATURES.into_iter().enumerate() {
        let mut column = Column::new(name);
        for day in days {
            column.push_number(day.features[feature]);
        }
        inputs.push(column);
    }
    let mut weather = Column::new("weather");
    let mut probability = Column::new("probability");
    for day in days {
        let prediction = classifier.predict(&day.features);
        weather.push(Cell::Text(&prediction.weather));
        probability.push_number(prediction.probability);
    }
    let mut outputs = Rows::new();
    outputs.push(weather);
    outputs.push(probability);
    (inputs, outputs)
}
