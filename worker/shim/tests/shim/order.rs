//! Runs are carried out one after the other.

use longshore_shim::ToShim;

use crate::worker::{Place, Worker};

#[test]
fn runs_sent_ahead_end_in_their_order_and_never_overlap() {
    for place in Place::all() {
        let mut worker = Worker::start(place);
        let script = "mkdir \"$DIR\"/alone && echo $0 && rmdir \"$DIR\"/alone";
        for number in 1..=100 {
            let run = worker.command(&["sh", "-c", script, &number.to_string()]);
            worker.send(&ToShim::Run(run));
        }
        for number in 1..=100 {
            let done = worker.done();
            assert_eq!(done.seq, number);
            assert_eq!(done.stdout.head, format!("{number}\n").as_bytes());
        }
    }
}

#[test]
fn a_run_that_cannot_start_does_not_hold_up_the_next() {
    for place in Place::all() {
        let mut worker = Worker::start(place);
        for name in ["no-such-program", "true", "no-such-program", "true"] {
            let run = worker.command(&[name]);
            worker.send(&ToShim::Run(run));
        }
        for seq in 1..=4 {
            assert_eq!(worker.done().seq, seq);
        }
    }
}
