//! A model under many callers: what each gets, who is refused, what cancelling does, and calls that return at once.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::ffi::{CStr, CString, c_void};
use std::path::Path;
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use ernie::capi::asynchronous::{ernie_encode_async, ernie_infer_async};
use ernie::capi::call::ernie_call;
use ernie::capi::cancel::{ernie_cancel_free, ernie_cancel_new, ernie_cancel_signal};
use ernie::capi::input::{ernie_input, ernie_str};
use ernie::capi::model::{ernie_model, ernie_model_free, ernie_model_open, ernie_model_statistics, ernie_model_stats};
use ernie::capi::options::{ernie_options_free, ernie_options_new, ernie_options_set};
use ernie::capi::result::{ernie_matrix, ernie_result, ernie_result_free, ernie_result_matrix};
use ernie::capi::status::{
    ERNIE_ERROR_BUSY, ERNIE_ERROR_CANCELLED, ERNIE_ERROR_INVALID_ARGUMENT, ERNIE_ERROR_INVALID_UTF8,
    ERNIE_ERROR_TEXT_TOO_LONG, ERNIE_OK, ernie_status, ernie_status_code, ernie_status_free, ernie_status_message,
};
use ernie::error::Error;
use ernie::options::Options;
use ernie::pipeline::{Call, Cancel, Generation, Input, Model, Output, Pooling};
use ernie::tensor::{TensorDataRef, TensorView};
use ernie::tokenize::Truncation;

const TEXTS: [&str; 8] = [
    "房间很干净",
    "",
    "屏幕太暗，后悔买了",
    "这本书写得真好，读完舍不得放下。我们去北京看书，天气很好，房间大小干净，服务也好，下次还会再来。",
    "早餐差",
    "good hotel 很好",
    "今天[MASK]气",
    "[PAD] 好 [PAD]",
];

fn open(name: &str, options: &[(&str, &str)]) -> Model {
    support::load_runtime();
    let mut all = Options::default();
    options.iter().for_each(|(key, value)| all.set(key, value).unwrap());
    Model::open(&support::root().join(name), &all).unwrap_or_else(|e| panic!("{name}: {}", e.report()))
}

fn text(text: &str) -> Input<'_> {
    Input { text, pair: None }
}

/// Everything in an output that is numbers or texts, to the last bit.
fn bits(output: &Output) -> String {
    let floats = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
    let matrix = output.matrix.as_ref().map(|matrix| floats(&matrix.data));
    let raw: Vec<_> = output
        .raw_outputs
        .iter()
        .flatten()
        .map(|tensor| (&tensor.shape, floats(&tensor.to_f32().unwrap_or_default())))
        .collect();
    let tokens: Vec<_> = output.token_vectors.iter().map(|matrix| floats(&matrix.data)).collect();
    format!("{matrix:?} {tokens:?} {raw:?} {:?} {:?}", output.items, output.generated)
}

/// Calls of different kinds, which want different parts of the graph.
fn answer(model: &Model, number: usize) -> Output {
    let inputs: Vec<Input<'_>> = (0..1 + number % 3).map(|k| text(TEXTS[(number + k) % TEXTS.len()])).collect();
    let call = Call::default();
    let raw = Call { with_raw_outputs: true, ..Call::default() };
    let tokens = Call { pooling: Pooling::Mean, with_token_vectors: true, ..Call::default() };
    let output = match number % 4 {
        0 | 1 => model.infer(&inputs, &call),
        2 => model.encode(&inputs, &tokens),
        _ => model.infer(&inputs, &raw),
    };
    output.unwrap_or_else(|e| panic!("{}", e.report()))
}

#[test]
fn any_number_of_threads_get_what_a_call_alone_gets() {
    const N_CALLS: usize = 24;
    let few = [("max_rows", "3"), ("max_batch_tokens", "64")];
    let (int8, bf16) = ([("precision", "int8")], [("precision", "bf16")]);
    for (name, options, numbers_of_threads) in [
        ("models/demo", &[][..], &[1, 4, 16, 64][..]),
        ("models/demo", &few, &[16]),
        ("models/demo", &int8, &[16]),
        ("models/demo", &bf16, &[16]),
        ("tests/fixtures/sums", &[], &[4, 16]),
    ] {
        let wanted: Vec<String> = {
            let alone = open(name, options);
            (0..N_CALLS).map(|number| bits(&answer(&alone, number))).collect()
        };
        for n_threads in numbers_of_threads.iter().copied() {
            let model = open(name, options);
            let barrier = Barrier::new(n_threads);
            std::thread::scope(|scope| {
                for thread in 0..n_threads {
                    let (model, barrier, wanted) = (&model, &barrier, &wanted);
                    scope.spawn(move || {
                        barrier.wait();
                        for round in 0..N_CALLS {
                            let number = (thread * 7 + round) % N_CALLS;
                            assert_eq!(bits(&answer(model, number)), wanted[number], "{name} call {number}");
                        }
                    });
                }
            });
            let stats = model.stats();
            assert_eq!(stats.n_queued, 0);
            assert_eq!(stats.n_texts as usize, n_threads * (0..N_CALLS).map(|number| 1 + number % 3).sum::<usize>());
            if n_threads == 1 {
                assert_eq!((stats.n_joined_texts, stats.peak_queued), (0, 0));
            }
            if n_threads == 64 && name == "models/demo" {
                assert!(stats.n_joined_texts > 0 && stats.peak_queued > 1, "{stats:?}");
                assert!(stats.n_runs < stats.n_texts, "{stats:?}");
            }
        }
    }
}

#[test]
fn tasks_tensors_and_generators_are_the_same_beside_others() {
    let root = "tests/fixtures/checkpoints";
    let names = ["paddle_ernie_ner", "paddle_ernie_pretraining", "paddle_ernie_generator", "paddlenlp_dual_encoder"];
    for name in names {
        let model = open(&format!("{root}/{name}"), &[]);
        let ids = [1_i64, 5, 6, 2, 1, 5, 2, 0];
        let tensors = || {
            let view = TensorView { name: "input_ids", shape: &[2, 4], data: TensorDataRef::I64(&ids) };
            format!("{:?}", model.infer_tensors(&[view]).unwrap())
        };
        let settings = Generation { max_new_tokens: Some(6), ..Generation::default() };
        let texts = || match name {
            "paddle_ernie_generator" => model.generate(&[text(TEXTS[0])], &Call::default(), &settings, None).unwrap(),
            "paddlenlp_dual_encoder" => model.encode(&[text(TEXTS[3]), text("")], &Call::default()).unwrap(),
            "paddle_ernie_pretraining" => model.infer(&[text(TEXTS[6])], &Call::default()).unwrap(),
            _ => model.infer(&[text(TEXTS[3]), text(TEXTS[0])], &Call::default()).unwrap(),
        };
        let wanted = (tensors(), bits(&texts()));
        std::thread::scope(|scope| {
            for thread in 0..16 {
                let (texts, tensors, wanted) = (&texts, &tensors, &wanted);
                scope.spawn(move || {
                    for _ in 0..8 {
                        match thread % 4 {
                            0 => assert_eq!(tensors(), wanted.0, "{name}"),
                            _ => assert_eq!(bits(&texts()), wanted.1, "{name}"),
                        }
                    }
                });
            }
        });
    }
}

#[test]
fn a_bad_text_of_one_caller_fails_no_other() {
    let model = open("models/demo", &[]);
    let wanted = bits(&model.infer(&[text(TEXTS[0])], &Call::default()).unwrap());
    let strict = Call { max_tokens: Some(8), truncation: Some(Truncation::Error), ..Call::default() };
    std::thread::scope(|scope| {
        for thread in 0..16 {
            let (model, wanted, strict) = (&model, &wanted, &strict);
            scope.spawn(move || {
                for _ in 0..20 {
                    if thread % 4 == 0 {
                        let error = model.infer(&[text(TEXTS[0]), text(TEXTS[3])], strict).unwrap_err();
                        assert!(matches!(error, Error::TextTooLong { .. }), "{}", error.report());
                        let each = model.infer_each(vec![Ok(text(TEXTS[3])), Ok(text(TEXTS[0]))], strict).unwrap();
                        assert!(each.errors[0].is_some() && each.errors[1].is_none());
                    } else {
                        assert_eq!(&bits(&model.infer(&[text(TEXTS[0])], &Call::default()).unwrap()), wanted);
                    }
                }
            });
        }
    });
}

/// A run that waits long for more callers ends when it is cancelled; so do those who are part of it.
#[test]
fn who_waits_is_cancelled_at_once() {
    let model = open("models/demo", &[("max_wait_us", "10000000")]);
    let cancels: Vec<Arc<Cancel>> = (0..4).map(|_| Arc::default()).collect();
    let begun = Instant::now();
    std::thread::scope(|scope| {
        let callers: Vec<_> = cancels
            .iter()
            .map(|cancel| {
                let call = Call { cancel: Some(Arc::clone(cancel)), ..Call::default() };
                let model = &model;
                scope.spawn(move || model.infer(&[text(TEXTS[0])], &call))
            })
            .collect();
        std::thread::sleep(Duration::from_millis(30));
        cancels.iter().for_each(|cancel| cancel.signal());
        for caller in callers {
            assert!(matches!(caller.join().unwrap(), Err(Error::Cancelled)));
        }
    });
    assert!(begun.elapsed() < Duration::from_secs(8));
    assert_eq!((model.stats().n_texts, model.stats().n_queued), (0, 0));
}

/// What an asynchronous call ended with.
#[derive(Debug)]
struct End {
    code: i32,
    message: String,
    matrix: Vec<f32>,
}

/// Counts how often it was told.
struct Told {
    ends: Sender<End>,
    n_times: AtomicUsize,
}

impl Told {
    fn user(&self) -> *mut c_void {
        ptr::from_ref(self).cast_mut().cast()
    }
}

unsafe extern "C" fn tell(user: *mut c_void, status: *mut ernie_status, result: *mut ernie_result) {
    // SAFETY: `user` is a `Told` that lives until its end came; status and result are this function's.
    unsafe {
        let told = &*user.cast::<Told>();
        told.n_times.fetch_add(1, Ordering::SeqCst);
        let message = CStr::from_ptr(ernie_status_message(status)).to_str().unwrap().to_owned();
        let mut matrix = ernie_matrix { data: ptr::null(), n_rows: 0, n_columns: 0 };
        let mut values = Vec::new();
        if !result.is_null() {
            assert!(status.is_null() && ernie_result_matrix(result, &raw mut matrix).is_null());
            values = std::slice::from_raw_parts(matrix.data, matrix.n_rows * matrix.n_columns).to_vec();
        }
        let end = End { code: ernie_status_code(status), message, matrix: values };
        ernie_status_free(status);
        ernie_result_free(result);
        told.ends.send(end).unwrap();
    }
}

fn open_c(path: &Path, options: &[(&CStr, &CStr)]) -> *mut ernie_model {
    support::load_runtime();
    let path = CString::new(path.to_str().unwrap()).unwrap();
    let mut model = ptr::null_mut();
    // SAFETY: the strings are NUL-terminated, the handles live.
    unsafe {
        let all = ernie_options_new();
        for (key, value) in options {
            assert!(ernie_options_set(all, key.as_ptr(), value.as_ptr()).is_null());
        }
        assert!(ernie_model_open(path.as_ptr(), all, &raw mut model).is_null());
        ernie_options_free(all);
    }
    model
}

fn c_input(text: &[u8]) -> ernie_input {
    let none = ernie_str { data: ptr::null(), len: 0 };
    ernie_input { text: ernie_str { data: text.as_ptr().cast(), len: text.len() }, pair: none }
}

fn c_call() -> ernie_call {
    // SAFETY: all bits zero are the defaults of a call.
    let mut call: ernie_call = unsafe { std::mem::zeroed() };
    call.struct_size = u32::try_from(size_of::<ernie_call>()).unwrap();
    call
}

fn statistics(model: *const ernie_model) -> ernie_model_statistics {
    // SAFETY: all bits zero is a value; the model is live.
    unsafe {
        let mut statistics: ernie_model_statistics = std::mem::zeroed();
        statistics.struct_size = u32::try_from(size_of::<ernie_model_statistics>()).unwrap();
        assert!(ernie_model_stats(model, &raw mut statistics).is_null());
        statistics
    }
}

/// The code of a refusal and what it says; the function must not be told of it.
fn refusal(status: *mut ernie_status) -> (i32, String) {
    // SAFETY: the status is live and freed once.
    unsafe {
        let message = CStr::from_ptr(ernie_status_message(status)).to_str().unwrap().to_owned();
        let code = ernie_status_code(status);
        ernie_status_free(status);
        (code, message)
    }
}

fn demo() -> std::path::PathBuf {
    support::root().join("models/demo")
}

#[test]
fn asynchronous_calls_end_once_each_with_what_the_call_gives_though_the_model_is_freed() {
    const N: usize = 200;
    let wanted: Vec<Vec<f32>> = {
        let model = open("models/demo", &[]);
        TEXTS.iter().map(|t| model.infer(&[text(t)], &Call::default()).unwrap().matrix.unwrap().data).collect()
    };
    for max_threads in [c"1", c"4", c"32"] {
        let model = open_c(&demo(), &[(c"async_threads", max_threads)]);
        let told: Vec<_> = (0..N)
            .map(|_| {
                let (ends, end) = channel();
                (Box::new(Told { ends, n_times: AtomicUsize::new(0) }), end)
            })
            .collect();
        for (number, (told, _)) in told.iter().enumerate() {
            let mut bytes = TEXTS[number % TEXTS.len()].as_bytes().to_vec();
            let input = c_input(&bytes);
            // SAFETY: the texts and the model are live during the call, `told` until the end.
            let status = unsafe { ernie_infer_async(model, &raw const input, 1, ptr::null(), Some(tell), told.user()) };
            assert_eq!(refusal(status).0, ERNIE_OK);
            // Nothing of the texts is needed any more.
            bytes.fill(0xff);
        }
        // SAFETY: freed once; the calls that are under way are owners too.
        unsafe { ernie_model_free(model) };
        for (number, (_, end)) in told.iter().enumerate() {
            let end = end.recv_timeout(Duration::from_secs(60)).unwrap();
            assert_eq!((end.code, &end.matrix), (ERNIE_OK, &wanted[number % TEXTS.len()]), "{}", end.message);
        }
        assert!(told.iter().all(|(told, _)| told.n_times.load(Ordering::SeqCst) == 1));
    }
}

#[test]
fn asynchronous_calls_share_runs() {
    let model = open_c(&demo(), &[(c"max_wait_us", c"50000")]);
    let (ends, end) = channel();
    let told = Told { ends, n_times: AtomicUsize::new(0) };
    for _ in 0..64 {
        let input = c_input(TEXTS[0].as_bytes());
        // SAFETY: as above.
        let status = unsafe { ernie_encode_async(model, &raw const input, 1, ptr::null(), Some(tell), told.user()) };
        assert_eq!(refusal(status).0, ERNIE_OK);
    }
    let ends: Vec<End> = (0..64).map(|_| end.recv_timeout(Duration::from_secs(60)).unwrap()).collect();
    assert!(ends.iter().all(|end| end.code == ERNIE_OK && end.matrix == ends[0].matrix));
    let statistics = statistics(model);
    assert!(statistics.n_joined_texts > 32 && statistics.n_runs < 32, "{statistics:?}");
    assert_eq!((statistics.n_texts, statistics.n_queued), (64, 0));
    // SAFETY: freed once.
    unsafe { ernie_model_free(model) };
}

#[test]
fn an_asynchronous_call_is_refused_or_ends_with_what_is_wrong() {
    let model = open_c(&demo(), &[(c"max_tokens", c"8"), (c"truncation", c"error")]);
    let (ends, end) = channel();
    let told = Told { ends, n_times: AtomicUsize::new(0) };
    let (good, broken, long) = (c_input(b"a"), c_input(b"a\xff"), c_input(TEXTS[3].as_bytes()));
    let mut call = c_call();
    // SAFETY: the texts and the model are live, `told` until the end.
    unsafe {
        let start = |input: &ernie_input, call: *const ernie_call| {
            ernie_infer_async(model, input, 1, call, Some(tell), told.user())
        };
        assert_eq!(refusal(start(&broken, ptr::null())).0, ERNIE_ERROR_INVALID_UTF8);
        let refused = ernie_infer_async(model, &raw const good, 1, ptr::null(), None, ptr::null_mut());
        assert_eq!(refusal(refused), (ERNIE_ERROR_INVALID_ARGUMENT, "done is NULL".into()));
        let refused = ernie_infer_async(ptr::null(), &raw const good, 1, ptr::null(), Some(tell), told.user());
        assert_eq!(refusal(refused).0, ERNIE_ERROR_INVALID_ARGUMENT);
        call.pooling = 99;
        assert_eq!(refusal(start(&good, &raw const call)).0, ERNIE_ERROR_INVALID_ARGUMENT);
        assert_eq!(told.n_times.load(Ordering::SeqCst), 0);

        assert_eq!(refusal(start(&long, ptr::null())).0, ERNIE_OK);
        assert_eq!(end.recv().unwrap().code, ERNIE_ERROR_TEXT_TOO_LONG);
        // One input of several, told by its result.
        call = c_call();
        call.errors = 1;
        let inputs = [good, broken];
        let started = ernie_infer_async(model, inputs.as_ptr(), 2, &raw const call, Some(tell), told.user());
        assert_eq!(refusal(started).0, ERNIE_OK);
        let told_of = end.recv().unwrap();
        assert!(told_of.code == ERNIE_OK && told_of.matrix.len() == 4 && told_of.matrix[3].is_nan(), "{told_of:?}");
        ernie_model_free(model);
    }
}

#[test]
fn a_full_line_refuses_calls_and_a_cancel_ends_those_in_it() {
    let model = open_c(&demo(), &[(c"max_queue", c"1"), (c"max_wait_us", c"10000000")]);
    let (ends, end) = channel();
    let told = Told { ends, n_times: AtomicUsize::new(0) };
    let (input, mut call) = (c_input(TEXTS[0].as_bytes()), c_call());
    let begun = Instant::now();
    // SAFETY: as above; the handle lives until it was signalled.
    unsafe {
        let cancel = ernie_cancel_new();
        call.cancel = cancel;
        let start = || ernie_infer_async(model, &raw const input, 1, &raw const call, Some(tell), told.user());
        assert_eq!(refusal(start()).0, ERNIE_OK);
        assert_eq!(statistics(model).n_queued, 1);
        let (code, message) = refusal(start());
        assert_eq!(code, ERNIE_ERROR_BUSY);
        assert!(message.contains("calls that wait for it: 1") && message.contains("max_queue allows 1"), "{message}");
        // By now it waits for others.
        std::thread::sleep(Duration::from_millis(100));
        ernie_cancel_signal(cancel);
        let told_of = end.recv_timeout(Duration::from_secs(60)).unwrap();
        assert_eq!(told_of.code, ERNIE_ERROR_CANCELLED);
        assert!(begun.elapsed() < Duration::from_secs(8));
        // There is room again; what is cancelled already ends so.
        assert_eq!(refusal(start()).0, ERNIE_OK);
        ernie_cancel_free(cancel);
        ernie_model_free(model);
        assert_eq!(end.recv_timeout(Duration::from_secs(60)).unwrap().code, ERNIE_ERROR_CANCELLED);
    }
    assert_eq!(told.n_times.load(Ordering::SeqCst), 2);
}
