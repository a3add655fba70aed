//! Runs that fail, panic or are cancelled.

use std::sync::atomic::AtomicUsize;

use super::*;

/// Callers with these faults, all queued behind a run, and what each got; `None` is a panic.
fn outcomes(faults: &[Fault]) -> (Vec<Option<Result<usize>>>, Vec<Names>) {
    let (scheduler, engine) = (scheduler(), Engine::default());
    let outcomes = scope(|scope| {
        let blocker = Blocker::start(scope, &scheduler);
        let callers: Vec<_> = faults
            .iter()
            .enumerate()
            .map(|(name, fault)| {
                let (scheduler, engine) = (&scheduler, &engine);
                let run = Fake { fault: *fault, ..Fake::new(name, 1) };
                let caller = scope.spawn(move || give(scheduler, engine, run, Caller::default()));
                until_waiting(scheduler, name + 1);
                caller
            })
            .collect();
        blocker.end();
        callers.into_iter().map(|caller| caller.join().ok()).collect()
    });
    assert_idle(&scheduler);
    (outcomes, engine.together())
}

#[test]
fn one_bad_run_does_not_fail_those_it_shared_a_run_with() {
    for place in 0..3 {
        let mut faults = [Fault::None; 3];
        faults[place] = Fault::Fails;
        let (outcomes, together) = outcomes(&faults);
        for (name, outcome) in outcomes.into_iter().enumerate() {
            match outcome.unwrap() {
                Ok(given) => assert!(given == name && name != place),
                Err(error) => assert_eq!((name, error.to_string()), (place, format!("run {place} is bad"))),
            }
        }
        assert_eq!(together, [vec![0, 1, 2], vec![0], vec![1], vec![2]]);
    }
}

#[test]
fn a_panic_is_the_caller_s_whose_run_it_is() {
    for place in 0..3 {
        let mut faults = [Fault::None; 3];
        faults[place] = Fault::Panics;
        let (outcomes, _) = outcomes(&faults);
        for (name, outcome) in outcomes.into_iter().enumerate() {
            assert_eq!(outcome.map(|given| given.unwrap()), (name != place).then_some(name));
        }
    }
}

#[test]
fn who_is_cancelled_leaves_the_line_at_once() {
    let (scheduler, engine, cancel) = (scheduler(), Engine::default(), Cancel::default());
    scope(|scope| {
        let blocker = Blocker::start(scope, &scheduler);
        let cancelled = scope.spawn(|| {
            let caller = Caller { cancel: Some(&cancel), ..Caller::default() };
            give(&scheduler, &engine, Fake::new(0, 1), caller)
        });
        until_waiting(&scheduler, 1);
        let stays = scope.spawn(|| give(&scheduler, &engine, Fake::new(1, 1), Caller::default()));
        until_waiting(&scheduler, 2);
        cancel.signal();
        assert!(matches!(cancelled.join().unwrap(), Err(Error::Cancelled)));
        until_waiting(&scheduler, 1);
        blocker.end();
        assert_eq!(stays.join().unwrap().unwrap(), 1);
    });
    assert_eq!(engine.together(), [[1]]);
    assert_idle(&scheduler);
}

#[test]
fn who_is_cancelled_in_a_run_leaves_and_the_others_have_theirs() {
    for fault in [Fault::None, Fault::Fails] {
        let (scheduler, engine, cancel) = (scheduler(), Engine::default(), Cancel::default());
        let (begun, has_begun) = channel();
        let (release, released) = channel::<()>();
        let (scheduler, engine, cancel) = (&scheduler, &engine, &cancel);
        scope(|scope| {
            let blocker = Blocker::start(scope, scheduler);
            let leader = scope.spawn(move || {
                let share = scheduler.run(Fake { fault, ..Fake::new(0, 1) }, Caller::default(), &mut |runs| {
                    if runs.len() > 1 {
                        begun.send(()).unwrap();
                        released.recv().unwrap();
                    }
                    engine.run(runs)
                });
                share.map(|share| share.outputs[share.place])
            });
            until_waiting(scheduler, 1);
            let cancelled = scope.spawn(|| {
                let caller = Caller { cancel: Some(cancel), ..Caller::default() };
                give(scheduler, engine, Fake::new(1, 1), caller)
            });
            until_waiting(scheduler, 2);
            let stays = scope.spawn(|| give(scheduler, engine, Fake::new(2, 1), Caller::default()));
            until_waiting(scheduler, 3);
            blocker.end();
            has_begun.recv().unwrap();
            cancel.signal();
            assert!(matches!(cancelled.join().unwrap(), Err(Error::Cancelled)));
            release.send(()).unwrap();
            assert_eq!(leader.join().unwrap().is_ok(), fault == Fault::None);
            assert_eq!(stays.join().unwrap().unwrap(), 2);
        });
        let alone = if fault == Fault::None { vec![] } else { vec![vec![0], vec![2]] };
        assert_eq!(engine.together(), [vec![vec![0, 1, 2]], alone].concat());
        assert_idle(scheduler);
    }
}

#[test]
fn many_threads_with_faults_and_cancels_all_get_their_own() {
    let (n_threads, n_rounds): (usize, usize) = if cfg!(miri) { (6, 8) } else { (64, 300) };
    let (scheduler, engine) = (scheduler(), Engine::default());
    let n_cancelled = AtomicUsize::new(0);
    scope(|scope| {
        for thread in 0..n_threads {
            let (scheduler, engine, n_cancelled) = (&scheduler, &engine, &n_cancelled);
            scope.spawn(move || {
                for round in 0..n_rounds {
                    let name = thread * n_rounds + round;
                    let dice = name.wrapping_mul(0x9E37_79B9) >> 7;
                    let fault = match dice % 16 {
                        0 => Fault::Fails,
                        1 => Fault::Panics,
                        _ => Fault::None,
                    };
                    let run = Fake { fault, ..Fake::new(name, 1 + dice % 4) };
                    let cancel = Cancel::default();
                    let cancels = dice % 5 == 0;
                    let caller = Caller { cancel: cancels.then_some(&cancel), ..Caller::default() };
                    if cancels && dice % 3 == 0 {
                        cancel.signal();
                    }
                    let turn = AssertUnwindSafe(|| match dice % 7 {
                        0 => scheduler.alone(caller, || engine.run(&[&run])).map(|names| names[0]),
                        _ => give(scheduler, engine, run, caller),
                    });
                    match (catch_unwind(turn), fault) {
                        (Ok(Ok(given)), Fault::None) => assert_eq!(given, name),
                        (Ok(Err(Error::Cancelled)), _) if cancels => {
                            n_cancelled.fetch_add(1, Ordering::Relaxed);
                        }
                        (Ok(Err(error)), Fault::Fails) => assert_eq!(error.to_string(), format!("run {name} is bad")),
                        (Err(_), Fault::Panics) => {}
                        (outcome, fault) => panic!("{name} with {fault:?}: {outcome:?}"),
                    }
                }
            });
        }
    });
    assert!(n_cancelled.into_inner() > 0);
    assert_idle(&scheduler);
}
