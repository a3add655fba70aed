//! Graphs of exporters, odd ones and hostile ones.

use super::*;

fn info(name: &str, element_type: ElementType, dims: &[Option<usize>]) -> TensorInfo {
    TensorInfo { name: name.into(), element_type: Some(element_type), dims: dims.to_vec() }
}

fn ids(name: &str) -> TensorInfo {
    info(name, ElementType::I64, &[None, None])
}

fn logits() -> Vec<TensorInfo> {
    vec![info("logits", ElementType::F32, &[None, Some(3)])]
}

#[test]
fn exporters_names_are_known_in_any_order() {
    let inputs = [ids("token_type_ids"), ids("att_mask"), ids("input_ids"), ids("pos_ids")];
    let binding = Binding::new(&inputs, &logits(), &[], &[], Hints::default()).unwrap();
    let roles: Vec<InputRole> = binding.inputs.iter().map(|i| i.role).collect();
    assert_eq!(roles, [InputRole::TokenTypeIds, InputRole::AttentionMask, InputRole::InputIds, InputRole::PositionIds]);
    assert!(binding.takes_mask());
}

#[test]
fn two_numbered_inputs_are_ids_and_sentence_ids() {
    let binding =
        Binding::new(&[ids("placeholder_0"), ids("placeholder_1")], &logits(), &[], &[], Hints::default()).unwrap();
    assert_eq!(binding.inputs[1].role, InputRole::TokenTypeIds);
}

#[test]
fn unknown_names_are_refused_with_the_list_and_accepted_when_the_caller_names_them() {
    let inputs = [ids("tokens"), ids("token_type_ids")];
    let error = Binding::new(&inputs, &logits(), &[], &[], Hints::default()).unwrap_err();
    assert!(matches!(error, Error::Unsupported(_)));
    assert!(error.to_string().contains("tokens int64[?,?]"), "{error}");
    let named = [("input_ids".to_owned(), "tokens".to_owned())];
    let binding = Binding::new(&inputs, &logits(), &named, &[], Hints::default()).unwrap();
    assert_eq!(binding.inputs[0].role, InputRole::InputIds);
}

#[test]
fn ids_of_a_float_type_or_a_wrong_rank_are_refused() {
    for bad in [info("input_ids", ElementType::F32, &[None, None]), info("input_ids", ElementType::I64, &[None])] {
        assert!(Binding::new(&[bad], &logits(), &[], &[], Hints::default()).is_err());
    }
}

#[test]
fn an_unnamed_output_is_told_by_its_last_dimension_or_refused() {
    let output = |dims: &[Option<usize>]| vec![info("linear_3.tmp_1", ElementType::F32, dims)];
    let hints = Hints { hidden_size: Some(8), n_labels: Some(3), ..Hints::default() };
    let role = |dims: &[Option<usize>], hints| {
        Binding::new(&[ids("input_ids")], &output(dims), &[], &[], hints).map(|b| b.outputs[0].role)
    };
    assert_eq!(role(&[None, Some(3)], hints).unwrap(), Some(OutputRole::Logits));
    assert_eq!(role(&[None, None, Some(8)], hints).unwrap(), Some(OutputRole::LastHiddenState));
    assert!(role(&[None, None, None], Hints::default()).is_err());
}

#[test]
fn fixed_sizes_are_found() {
    let fixed = |name| info(name, ElementType::I32, &[Some(1), Some(16)]);
    let inputs = [fixed("input_ids"), fixed("attention_mask")];
    let binding = Binding::new(&inputs, &logits(), &[], &[], Hints::default()).unwrap();
    assert_eq!((binding.fixed_rows, binding.fixed_tokens), (Some(1), Some(16)));
    assert!(Binding::new(&inputs[..1], &logits(), &[], &[], Hints::default()).is_err(), "padding without a mask");
    let huge = [info("input_ids", ElementType::I64, &[Some(1 << 40), None])];
    assert!(Binding::new(&huge, &logits(), &[], &[], Hints::default()).is_err(), "a size no run can have");
}

#[test]
fn a_role_that_the_caller_gives_is_taken_from_the_others() {
    let outputs = [logits().remove(0), info("scores", ElementType::F32, &[None, Some(3)])];
    let named = [("logits".to_owned(), "scores".to_owned())];
    let binding = Binding::new(&[ids("input_ids")], &outputs, &[], &named, Hints::default()).unwrap();
    assert_eq!(binding.output(OutputRole::Logits), Some(1));
}

#[test]
fn a_single_input_of_unknown_name_is_not_guessed() {
    assert!(Binding::new(&[ids("ages")], &logits(), &[], &[], Hints::default()).is_err());
}
