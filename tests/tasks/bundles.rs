//! The same answers from a checkpoint, its bundle, and the plain graph in it, which runs padded.

use std::sync::Arc;

use ernie::options::Options;
use ernie::pipeline::export::{GraphKind, export};
use ernie::pipeline::{Call, Input, Item, Model, Schema};
use ernie::tokenize::Truncation;

use crate::{pair, text};

const LONG: &str = "今天[MASK]天气很好，我们去看书。他说这个不错，房间大小干净，服务很好。我在北京上海的房间看书，中国人[MASK]是好人！";

/// A fixture with its task, and what it is asked.
type Asked<'a> = (&'a str, &'a str, &'a [Input<'a>], &'a Call);

/// Equal but for what other operators round otherwise.
fn near(a: &Item, b: &Item) -> bool {
    let places = |item: &Item| (item.group, item.sequence, item.begin, item.end, item.parent);
    places(a) == places(b) && a.text == b.text && (a.score - b.score).abs() < 1e-4
}

#[test]
fn a_bundle_and_its_graph_answer_as_the_checkpoint() {
    crate::support::load_runtime();
    let schema = Schema::parse(r#"["人", {"房间": ["大小"]}]"#).unwrap();
    let windows = Call { truncation: Some(Truncation::Windows), ..Call::default() };
    let extract = Call { schema: Some(Arc::new(schema)), threshold: Some(0.45), ..Call::default() };
    let candidates = Call { candidates: vec!["好".into(), "北京".into()], ..windows.clone() };
    let (single, question) =
        ([text(LONG), text("我们[MASK]")], [pair("我在？", LONG), pair("他说？", "他说这个不错。")]);
    let asked: [Asked<'_>; 6] = [
        ("paddle_ernie_ner", "auto", &single, &windows),
        ("paddle_ernie_mrc", "question_answering", &question, &Call::default()),
        ("paddle_ernie_pretraining", "auto", &single, &candidates),
        ("paddlenlp_mlm", "auto", &single, &windows),
        ("paddlenlp_uie", "auto", &single, &extract),
        ("paddlenlp_cross_encoder", "auto", &question, &windows),
    ];
    for (name, task, inputs, call) in asked {
        let dir = crate::support::root().join("tests/fixtures/checkpoints").join(name);
        let out = tempfile::tempdir().unwrap();
        let mut options = Options::default();
        options.set("task", task).unwrap();
        let open = |path: &std::path::Path, options: &Options| {
            Model::open(path, options).unwrap_or_else(|e| panic!("{name}: {}", e.report()))
        };
        let checkpoint = open(&dir, &options).infer(inputs, call).unwrap();
        export(&dir, &out.path().join("bundle"), &options, GraphKind::Plain).unwrap();
        let bundle = open(&out.path().join("bundle"), &Options::default()).infer(inputs, call).unwrap();
        assert_eq!(bundle.items, checkpoint.items, "{name}");
        let graph = open(&out.path().join("bundle/model.onnx"), &Options::default()).infer(inputs, call).unwrap();
        for (ours, theirs) in graph.items.iter().zip(&checkpoint.items) {
            assert!(!ours.is_empty() && ours.len() == theirs.len(), "{name}: {} and {}", ours.len(), theirs.len());
            for (a, b) in ours.iter().zip(theirs) {
                assert!(near(a, b), "{name}: {a:?} and {b:?}");
            }
        }
    }
}
