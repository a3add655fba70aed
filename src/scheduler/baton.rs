//! What is handed on whatever happens: the lead, and a turn that came to nothing.

use std::sync::{Arc, PoisonError};

use super::{Entry, Scheduler, Status, Waiting};

/// That somebody leads. When it is dropped, the first in line does.
pub(super) struct Baton<'a, R, O>(pub(super) &'a Scheduler<R, O>);

impl<R, O> Drop for Baton<'_, R, O> {
    fn drop(&mut self) {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(Waiting { entry, .. }) = state.waiting.pop_front() else {
            state.is_led = false;
            return;
        };
        *entry.lock() = Status::Leads;
        drop(state);
        entry.changed.notify_one();
    }
}

/// Those whose runs are part of a leader's. When it is dropped, who got nothing is the first in line again.
pub(super) struct Riders<'a, R, O> {
    pub(super) scheduler: &'a Scheduler<R, O>,
    pub(super) entries: Vec<Arc<Entry<R, O>>>,
    /// Whether those who go back to the line may share a run.
    pub(super) joins: bool,
}

impl<R, O> Riders<'_, R, O> {
    pub(super) fn runs(&self) -> impl Iterator<Item = &R> {
        self.entries.iter().filter_map(|entry| entry.run.as_ref())
    }

    /// Hands out the outputs of a run of the leader and all of these, in their order.
    pub(super) fn deliver(&mut self, outputs: &Arc<O>) {
        for (number, entry) in self.entries.drain(..).enumerate() {
            let mut status = entry.lock();
            if matches!(*status, Status::Rides) {
                *status = Status::Done(Arc::clone(outputs), number + 1);
            }
            drop(status);
            entry.changed.notify_one();
        }
    }
}

impl<R, O> Drop for Riders<'_, R, O> {
    fn drop(&mut self) {
        if self.entries.is_empty() {
            return;
        }
        let mut state = self.scheduler.state.lock().unwrap_or_else(PoisonError::into_inner);
        for entry in self.entries.drain(..).rev() {
            let mut status = entry.lock();
            if matches!(*status, Status::Rides) {
                *status = Status::Waits;
                drop(status);
                let place = self.scheduler.line.enter_again(entry.admission);
                state.waiting.push_front(Waiting { entry, joins: self.joins, _place: place });
            }
        }
    }
}
