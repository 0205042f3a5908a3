//! The embedded data: one row a day. In: CSV text. Out: [`Day`]s in the order of the calendar.

use super::DemoError;
use jiff::civil::Date;

const DATA: &str = include_str!("seattle-weather.csv");

/// One day's weather as measured, and the class it was given: the truth the model is asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Day {
    pub date: Date,
    /// In the order of [`Day::FEATURES`]: millimetres, °C, °C, metres a second.
    pub features: [f64; 4],
    pub weather: &'static str,
}

impl Day {
    pub const FEATURES: [&'static str; 4] = ["precipitation", "temp_max", "temp_min", "wind"];
}

/// All 1,461 days.
pub fn days() -> Result<Vec<Day>, DemoError> {
    DATA.lines()
        .enumerate()
        .skip(1)
        .map(|(index, line)| {
            parse(line).map_err(|fault| DemoError::Data { line: index + 1, fault })
        })
        .collect()
}

fn parse(line: &'static str) -> Result<Day, String> {
    let cells: Vec<_> = line.split(',').collect();
    let [date, features @ .., weather] = cells.as_slice() else {
        return Err(format!("{line:?} is not a row"));
    };
    let date = date.parse().map_err(|error| format!("{date:?}: {error}"))?;
    let numbers: Vec<f64> = features
        .iter()
        .map(|cell| cell.parse().map_err(|error| format!("{cell:?}: {error}")))
        .collect::<Result<_, _>>()?;
    let features = numbers.try_into().map_err(|_| format!("{line:?} has not four numbers"))?;
    Ok(Day { date, features, weather })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_data_are_four_whole_years() {
        let days = days().unwrap();
        assert_eq!(days.len(), 1_461);
        assert!(days.windows(2).all(|pair| pair[0].date.tomorrow().unwrap() == pair[1].date));
        assert_eq!(format!("{:?}", days[0].features), "[0.0, 12.8, 5.0, 4.7]");
        assert_eq!(days[0].weather, "drizzle");
    }

    #[test]
    fn a_damaged_row_is_refused() {
        for line in ["", "2012-01-01", "2012-13-01,0,1,2,3,sun", "2012-01-01,0,1,x,3,sun"] {
            assert!(parse(line).is_err(), "{line:?}");
        }
    }
}
