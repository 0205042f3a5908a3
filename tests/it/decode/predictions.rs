//! What the join with labels takes for the prediction in the answers of real servers.

use super::fixtures::folder;
use taffrail::decode::{Cell, Decoded, Decoder, Part, Payload, Settings};
use taffrail::labels::{Prediction, prediction};

fn answered(case: &str, path: &str) -> Decoded {
    let read = |name: &str| std::fs::read(folder().join(case).join(name)).unwrap();
    let (request, response) = (read("request.bin"), read("response.bin"));
    let payload = Payload {
        method: "POST",
        path,
        status: Some(200),
        request: Part { body: &request, ..Part::default() },
        response: Part { body: &response, ..Part::default() },
    };
    let mut decoded = Decoded::default();
    Decoder::new(Settings::default()).decode(&payload, &mut decoded);
    decoded
}

#[test]
fn the_class_that_mlserver_names_before_its_probabilities_is_the_prediction() {
    let outputs = answered("mlserver_two_outputs", "/v2/models/risk/infer").outputs;
    assert_eq!(outputs.columns().len(), 3);
    assert_eq!(prediction(&outputs, 0), Some(Prediction::Given(Cell::Number(0.0))));
    assert_eq!(prediction(&outputs, 1), Some(Prediction::Given(Cell::Number(1.0))));
}

#[test]
fn the_likeliest_class_is_the_prediction_where_the_answer_is_probabilities() {
    let outputs = answered("kserve_v1_scalars", "/v1/models/m:predict").outputs;
    for row in 0..3 {
        assert_eq!(prediction(&outputs, row), Some(Prediction::Likeliest(1)));
    }
    let outputs = answered("azure_input_data_rows", "/score").outputs;
    assert_eq!(prediction(&outputs, 0), Some(Prediction::Likeliest(0)));
    assert_eq!(prediction(&outputs, 1), Some(Prediction::Likeliest(1)));
}
