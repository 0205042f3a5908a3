//! A multinomial logistic regression over standardised features. In: one day's four measurements.
//! Out: the likeliest class and its probability. The weights come from `fit.py`.

use super::{Day, DemoError};
use serde::Deserialize;
use std::sync::Arc;

const WEIGHTS: &str = include_str!("weights.json");

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Classifier {
    features: [String; Day::FEATURES.len()],
    means: [f64; Day::FEATURES.len()],
    scales: [f64; Day::FEATURES.len()],
    classes: Vec<Class>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Class {
    name: Arc<str>,
    intercept: f64,
    coefficients: [f64; Day::FEATURES.len()],
}

#[derive(Debug, Clone, PartialEq)]
pub struct Prediction {
    pub weather: Arc<str>,
    /// Of the chosen class, in [0, 1], to four decimals: what is printed reads back the same.
    pub probability: f64,
}

impl Classifier {
    pub fn embedded() -> Result<Self, DemoError> {
        serde_json::from_str(WEIGHTS).map_err(DemoError::Weights)
    }

    pub fn feature_names(&self) -> &[String] {
        &self.features
    }

    pub fn predict(&self, features: &[f64; Day::FEATURES.len()]) -> Prediction {
        let mut best: Option<(&Class, f64)> = None;
        let scores: Vec<f64> =
            self.classes.iter().map(|class| self.score(class, features)).collect();
        for (class, score) in self.classes.iter().zip(&scores) {
            if best.is_none_or(|(_, highest)| *score > highest) {
                best = Some((class, *score));
            }
        }
        let Some((class, highest)) = best else {
            return Prediction { weather: "".into(), probability: 0.0 };
        };
        let total: f64 = scores.iter().map(|score| (score - highest).exp()).sum();
        let probability = (1e4 / total).round() / 1e4;
        Prediction { weather: class.name.clone(), probability }
    }

    fn score(&self, class: &Class, features: &[f64; Day::FEATURES.len()]) -> f64 {
        let standardised = features
            .iter()
            .zip(&self.means)
            .zip(&self.scales)
            .map(|((x, mean), scale)| (x - mean) / scale);
        let weighted: f64 =
            standardised.zip(&class.coefficients).map(|(x, weight)| x * weight).sum();
        class.intercept + weighted
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::calendar::is_fitted;
    use crate::demo::{Season, days};

    fn accuracy(of: impl Fn(&Day) -> bool) -> f64 {
        let classifier = Classifier::embedded().unwrap();
        let days: Vec<_> = days().unwrap().into_iter().filter(of).collect();
        let right = days
            .iter()
            .filter(|day| *classifier.predict(&day.features).weather == *day.weather)
            .count();
        right as f64 / days.len() as f64
    }

    #[test]
    fn the_classifier_knows_summer_and_is_lost_in_winter() {
        let fitted = accuracy(|day| is_fitted(day.date));
        let summer = accuracy(|day| Season::Summer.holds(day.date));
        let winter = accuracy(|day| Season::Winter.holds(day.date));
        assert!((fitted - 0.810).abs() < 0.001, "as fit.py prints: {fitted}");
        assert!((summer - 0.797).abs() < 0.001, "as fit.py prints of the days held out: {summer}");
        assert!(winter < summer - 0.1, "{winter}");
    }

    #[test]
    fn features_stand_in_the_order_of_the_data() {
        assert_eq!(Classifier::embedded().unwrap().feature_names(), Day::FEATURES);
    }

    #[test]
    fn a_heavy_winter_rain_is_rain() {
        let prediction = Classifier::embedded().unwrap().predict(&[20.3, 12.2, 5.6, 4.7]);
        assert_eq!(&*prediction.weather, "rain");
        assert!(prediction.probability > 0.9);
    }
}
