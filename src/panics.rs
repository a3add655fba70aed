//! Where panics are reported: those inside the library to its log, not to the terminal.

use std::cell::Cell;
use std::sync::Once;

thread_local! {
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is inside the library.
pub(crate) fn is_inside() -> bool {
    INSIDE.get()
}

/// Runs `work`, inside the library or not. It must not panic out of this, or the thread stays so.
pub(crate) fn with_inside<T>(inside: bool, work: impl FnOnce() -> T) -> T {
    let outer = INSIDE.replace(inside);
    let outcome = work();
    INSIDE.set(outer);
    outcome
}

/// Panics inside the library are logged; those of the program that it may be linked into keep their own hook.
pub(crate) fn install_hook() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if is_inside() {
                log::error!("{info}");
            } else {
                previous(info);
            }
        }));
    });
}
