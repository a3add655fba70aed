//! `ernie_infer_async`, `ernie_encode_async`: calls that return at once, and a function that is told their end.

use std::ffi::c_void;
use std::sync::Arc;

use super::boundary::{self, fallible, infallible};
use super::call::{self, Errors, ernie_call};
use super::input::{self, ernie_input};
use super::model::{Work, WorkEach, ernie_model};
use super::result::ernie_result;
use super::status::ernie_status;
use crate::error::{Error, Result};
use crate::pipeline::{Admission, Call, Input, Model};

/// Takes the end of an asynchronous call: `result` where it succeeded, with `status` NULL; else `status`, with `result` NULL. Both
/// belong to the function, which frees them. Called exactly once for each call that was accepted, by a thread of the library, maybe
/// before the function that made the call returns. It may make other calls, also on the same model, and free the model. While it
/// runs its thread makes no other calls: what takes long is done elsewhere. It must not throw an exception: one that leaves it
/// ends the program.
pub type ernie_done_fn =
    Option<unsafe extern "C" fn(user: *mut c_void, status: *mut ernie_status, result: *mut ernie_result)>;

/// `ernie_infer` in a thread of the library: returns at once, and `done` is given `user` and what `ernie_infer` would have given.
///
/// Texts and what `call` points to are copied before this returns; its `cancel` may be freed from then on, and ends the call as
/// long as it is there. The call is an owner of the model: `model` may be freed while it is under way. Calls that are under way at
/// the same time share runs of the graph; no more than option `async_threads` are begun at a time, the others follow in their
/// order. A program waits for the ends of its calls before it ends.
///
/// Errors, with which `done` is not called: `INVALID_ARGUMENT` (NULL, a call that is none), `INVALID_UTF8` (but for
/// `ERNIE_ERRORS_INPUT`), `BUSY` (as many calls are under way as option `max_queue` allows), `RUNTIME` (no thread can be had). Those of
/// `ernie_infer` are given to `done`.
///
/// # Safety
/// - As `ernie_encode`; `done` is NULL or may be called with `user` from any thread until it was.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ernie_infer_async(
    model: *const ernie_model,
    inputs: *const ernie_input,
    n_inputs: usize,
    call: *const ernie_call,
    done: ernie_done_fn,
    user: *mut c_void,
) -> *mut ernie_status {
    // SAFETY: the caller's obligation.
    fallible(|| unsafe { submit(model, inputs, n_inputs, call, done, user, Model::infer, Model::infer_each) })
}

/// `ernie_encode` in a thread of the library, as `ernie_infer_async` says.
///
/// # Safety
/// - As `ernie_infer_async`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ernie_encode_async(
    model: *const ernie_model,
    inputs: *const ernie_input,
    n_inputs: usize,
    call: *const ernie_call,
    done: ernie_done_fn,
    user: *mut c_void,
) -> *mut ernie_status {
    // SAFETY: the caller's obligation.
    fallible(|| unsafe { submit(model, inputs, n_inputs, call, done, user, Model::encode, Model::encode_each) })
}

/// A text, or a text and its pair, that belong to a call.
#[derive(Default)]
struct OwnedInput {
    text: String,
    pair: Option<String>,
}

impl OwnedInput {
    fn of(input: Input<'_>) -> Self {
        Self { text: input.text.to_owned(), pair: input.pair.map(ToOwned::to_owned) }
    }

    fn borrowed(&self) -> Input<'_> {
        Input { text: &self.text, pair: self.pair.as_deref() }
    }
}

/// Who is told the end of a call.
struct Done {
    function: unsafe extern "C" fn(*mut c_void, *mut ernie_status, *mut ernie_result),
    user: *mut c_void,
}

// SAFETY: the caller promised that the function may be called with this pointer from any thread.
unsafe impl Send for Done {}

impl Done {
    fn tell(self, status: *mut ernie_status, result: *mut ernie_result) {
        // SAFETY: the caller's function with what it asked to be given; once, as it is used up.
        unsafe { (self.function)(self.user, status, result) }
    }
}

/// Copies a call, for a thread to make it.
///
/// # Safety
/// - As [`ernie_infer_async`].
#[expect(clippy::too_many_arguments, reason = "those of the C functions, and what they differ in")]
unsafe fn submit(
    model: *const ernie_model,
    inputs: *const ernie_input,
    n_inputs: usize,
    call: *const ernie_call,
    done: ernie_done_fn,
    user: *mut c_void,
    work: Work,
    work_each: WorkEach,
) -> Result<()> {
    // SAFETY: the caller's obligation.
    let handle = unsafe { boundary::handle(model, "model") }?;
    let done = Done { function: done.ok_or_else(|| Error::argument("done is NULL"))?, user };
    // SAFETY: the caller's obligation.
    let (inputs, (call, errors)) = unsafe { (input::texts(inputs, n_inputs)?, call::read_with_errors(call)?) };
    let inputs: Vec<Result<OwnedInput>> = inputs.into_iter().map(|input| input.map(OwnedInput::of)).collect();
    let inputs = match errors {
        Errors::OfInput => inputs,
        Errors::OfCall => inputs.into_iter().map(|input| input.map(Ok)).collect::<Result<_>>()?,
    };
    let call = Call { admission: Admission::Held, ..call };
    let place = handle.model.place_in_line()?;
    // SAFETY: made by `Arc::into_raw` in `ernie_model_open` and live; the count is that of the new owner.
    let owner = unsafe {
        Arc::increment_strong_count(model);
        Arc::from_raw(model)
    };
    let job = move || {
        let mut result = std::ptr::null_mut();
        let status = fallible(|| {
            // What is wrong with a text is told once, and its text is not there.
            let (texts, wrong): (Vec<_>, Vec<_>) = inputs.into_iter().map(apart).unzip();
            let both = texts.iter().zip(wrong);
            let texts = both.map(|(text, wrong)| wrong.map_or_else(|| Ok(text.borrowed()), Err));
            let output = match errors {
                Errors::OfInput => work_each(&owner.model, texts.collect(), &call)?,
                Errors::OfCall => work(&owner.model, &texts.collect::<Result<Vec<_>>>()?, &call)?,
            };
            result = ernie_result::into_raw(n_inputs, output);
            Ok(())
        });
        // Whoever waits for the last end may end the program: by then nothing of the model is to be taken down here.
        infallible((), || drop((call, place, owner)));
        done.tell(status, result);
    };
    handle.workers.submit(Box::new(job))
}

/// A text, and what is wrong with it.
fn apart(input: Result<OwnedInput>) -> (OwnedInput, Option<Error>) {
    match input {
        Ok(input) => (input, None),
        Err(error) => (OwnedInput::default(), Some(error)),
    }
}
