//! What a call costs beside ONNX Runtime's own: `ernie_infer_tensors` and `OrtApi::Run` on the same one-node graph, by
//! turns in one process. Prints the medians of a call and their difference.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark reports on standard output")]

mod median;

use std::ffi::CString;
use std::hint::black_box;
use std::path::Path;
use std::ptr;
use std::time::Instant;

use ernie::capi::model::{ernie_infer_tensors, ernie_model, ernie_model_free, ernie_model_open};
use ernie::capi::options::{ernie_options_free, ernie_options_new, ernie_options_set};
use ernie::capi::result::{ernie_result, ernie_result_free};
use ernie::capi::tensor::{ERNIE_TYPE_FLOAT32, ernie_tensor};
use median::median;
use ort::AsPointer;
use ort::value::TensorRef;

const N_CALLS: usize = 2000;
const N_ROUNDS: usize = 25;

fn nanoseconds_of_a_call(mut call: impl FnMut()) -> f64 {
    let start = Instant::now();
    (0..N_CALLS).for_each(|_| call());
    start.elapsed().as_nanos() as f64 / N_CALLS as f64
}

/// One run as a C program makes it: a prepared input value, a fresh output value.
fn run_directly(session: &ort::session::Session, values: &[f32]) {
    let input = TensorRef::from_array_view(([values.len()], values)).unwrap();
    let (input_names, output_names) = ([c"x".as_ptr()], [c"y".as_ptr()]);
    let inputs = [input.ptr()];
    let mut output = [ptr::null_mut()];
    // SAFETY: names, values and the session are live during the call; the output is released once.
    unsafe {
        let api = ort::api();
        let status = (api.Run)(
            session.ptr().cast_mut(),
            ptr::null(),
            input_names.as_ptr(),
            inputs.as_ptr(),
            1,
            output_names.as_ptr(),
            1,
            output.as_mut_ptr(),
        );
        assert!(status.0.is_null());
        (api.ReleaseValue)(output[0]);
    }
}

fn run_through_ernie(model: *const ernie_model, tensor: &ernie_tensor) {
    let mut result: *mut ernie_result = ptr::null_mut();
    // SAFETY: the model and the tensor are live; the result is freed once.
    unsafe {
        assert!(ernie_infer_tensors(model, tensor, 1, &raw mut result).is_null());
        ernie_result_free(result);
    }
}

fn open_model(path: &Path) -> *mut ernie_model {
    let path = CString::new(path.to_str().unwrap()).unwrap();
    let mut model = ptr::null_mut();
    // SAFETY: the strings are NUL-terminated, the handles live.
    unsafe {
        let options = ernie_options_new();
        assert!(ernie_options_set(options, c"task".as_ptr(), c"tensors".as_ptr()).is_null());
        assert!(ernie_options_set(options, c"threads".as_ptr(), c"1".as_ptr()).is_null());
        assert!(ernie_model_open(path.as_ptr(), options, &raw mut model).is_null(), "run `make runtime`");
        ernie_options_free(options);
    }
    model
}

fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("ERNIE_ORT_PATH").is_none() {
        ernie::runtime::load(&root.join("build/runtime")).unwrap();
    }
    let graph = root.join("tests/fixtures/identity/model.onnx");
    let model = open_model(&graph);
    // The process has one environment, which the library made: a second session is opened through the C interface.
    let session = ernie_session(&graph);
    let values = [1.0_f32; 16];
    let shape = [values.len() as i64];
    let tensor = ernie_tensor {
        name: c"x".as_ptr(),
        element_type: ERNIE_TYPE_FLOAT32,
        n_dims: 1,
        shape: shape.as_ptr(),
        data: values.as_ptr().cast(),
        n_bytes: size_of_val(&values),
    };
    let (mut direct, mut ours) = (Vec::new(), Vec::new());
    for _ in 0..N_ROUNDS {
        direct.push(nanoseconds_of_a_call(|| run_directly(&session, black_box(&values))));
        ours.push(nanoseconds_of_a_call(|| run_through_ernie(model, black_box(&tensor))));
    }
    let (direct, ours) = (median(direct), median(ours));
    println!("OrtApi::Run           {direct:8.0} ns a call");
    println!("ernie_infer_tensors   {ours:8.0} ns a call");
    println!("difference            {:8.0} ns, ratio {:.2}", ours - direct, ours / direct);
    // SAFETY: freed once.
    unsafe { ernie_model_free(model) };
}

fn ernie_session(graph: &Path) -> ort::session::Session {
    let environment = ernie::runtime::environment_for_benches().unwrap();
    ort::session::Session::builder(&environment)
        .unwrap()
        .with_intra_threads(1)
        .unwrap()
        .commit_from_file(graph)
        .unwrap()
}
