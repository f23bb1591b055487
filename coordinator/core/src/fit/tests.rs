//! What fits where, and what is said of what does not.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

const GIB: u64 = 1 << 30;

fn offer() -> Offer {
    Offer {
        cpu_milli: 4_000,
        memory_bytes: 16 * GIB,
        resources: BTreeMap::from([("gpu".to_owned(), 2)]),
        labels: BTreeMap::from([("disk".to_owned(), "ssd".to_owned())]),
        networks: Some(BTreeSet::from(["jobs".to_owned()])),
        root: false,
        ..Offer::default()
    }
}

fn memory(gib: u64) -> Needs {
    Needs { memory_bytes: gib * GIB, ..Needs::default() }
}

fn gpus(count: u64) -> Needs {
    Needs { resources: BTreeMap::from([("gpu".to_owned(), count)]), ..Needs::default() }
}

#[test]
fn what_a_worker_lacks_is_named_with_what_would_mend_it() {
    let label = |text: &str| Needs { constraints: vec![text.parse().expect("a constraint")], ..Needs::default() };
    for (needs, words, remedy) in [
        (memory(17), "memory 17 GiB is more than the 16 GiB that it allows", "--max-memory 17GiB"),
        (Needs { cpu_milli: 4_500, ..Needs::default() }, "cpus 4.5 is more than the 4 that", "--max-cpus 4.5"),
        (gpus(3), "it has 2 of the resource \"gpu\", and 3 are needed", "--resource gpu=3"),
        (label("disk=hdd"), "its label \"disk\" is \"ssd\", and disk=hdd is needed", "--label disk=hdd"),
        (label("zone"), "it has no label \"zone\", and zone is needed", "--label zone="),
        (
            Needs { network: "host".to_owned(), ..Needs::default() },
            "allow the network \"host\"",
            "--allow-network host",
        ),
        (Needs { user: User::Root, ..Needs::default() }, "does not allow work to run as root", "--allow-root"),
    ] {
        let lack = could(Some(&needs), &offer()).expect_err("it does not fit");
        assert!(lack.to_string().contains(words), "{lack}");
        assert!(lack.remedy().contains(remedy), "{}", lack.remedy());
        assert_eq!(
            could(Some(&needs), &Offer { resources: offer().resources, ..Offer::default() }).is_ok(),
            needs.resources.is_empty() && needs.constraints.is_empty()
        );
    }
    assert_eq!(could(Some(&Needs { network: "jobs".to_owned(), ..memory(16) }), &offer()), Ok(()));
    assert_eq!(could(None, &offer()), Ok(()));
}

#[test]
fn a_worker_of_before_could_run_everything_but_what_names_resources_or_labels() {
    let all = Needs { cpu_milli: 64_000, network: "host".to_owned(), user: User::Root, workdir: true, ..memory(999) };
    assert_eq!(could(Some(&all), &Offer::default()), Ok(()));
    assert!(could(Some(&gpus(1)), &Offer::default()).is_err());
    assert_eq!(has_room(Some(&all), &Offer::default(), 1, &Usage::default()), Ok(()), "it takes a slot, as ever");
}

#[test]
fn what_says_no_more_than_a_slots_share_takes_a_slot_and_everything_else_is_counted() {
    let is_counted = |needs: &Needs, slots: u32| offer().counts(needs, slots);
    assert!(!is_counted(&memory(4), 4) && is_counted(&memory(5), 4));
    assert!(!is_counted(&Needs { cpu_milli: 1_000, ..Needs::default() }, 64), "a share is at least a CPU");
    assert!(is_counted(&Needs { cpu_milli: 1_001, ..Needs::default() }, 4));
    assert!(!is_counted(&Needs { memory_bytes: 512 << 20, ..Needs::default() }, 64), "and 512 MiB");
    assert!(is_counted(&gpus(1), 1));
    assert!(!is_counted(&Needs { network: "jobs".to_owned(), ..Needs::default() }, 4));
}

#[test]
fn counted_work_fits_exactly_beside_what_is_under_way() {
    let (offer, slots) = (offer(), 4);
    let mut usage = Usage::default();
    let mut given = 0;
    while has_room(Some(&memory(6)), &offer, slots, &usage).is_ok() {
        usage.count_heavy(&memory(6), &offer, slots, true);
        given += 1;
    }
    assert_eq!(given, 2);
    let full = fit(Some(&memory(6)), &offer, slots, &usage).expect_err("it does not fit");
    assert_eq!(full, Misfit::NotNow(Full::Memory { asked: 6 * GIB, left: 4 * GIB, of: 16 * GIB }));
    assert!(full.to_string().contains("4 GiB of its 16 GiB of memory left, and 6 GiB are needed"));
    // A light one takes what is left.
    assert!(usage.load(&offer, slots) < 1_024);
    usage.count_light(true);
    assert_eq!(usage.load(&offer, slots), 1_024);
    usage.count_heavy(&memory(6), &offer, slots, false);
    usage.count_heavy(&memory(6), &offer, slots, false);
    usage.count_light(false);
    assert_eq!((usage.is_counted(), usage.load(&offer, slots), usage), (false, 0, Usage::default()));
}

#[test]
fn a_resource_bounds_what_runs_at_once_and_nothing_else() {
    let (offer, slots) = (offer(), 4);
    let mut usage = Usage::default();
    for _ in 0..2 {
        assert_eq!(has_room(Some(&gpus(1)), &offer, slots, &usage), Ok(()));
        usage.count_heavy(&gpus(1), &offer, slots, true);
    }
    let full = has_room(Some(&gpus(1)), &offer, slots, &usage).expect_err("it does not fit");
    assert_eq!(full, Full::Resource { name: "gpu".to_owned(), asked: 1, left: 0, of: 2 });
    assert_eq!(usage.load(&offer, slots), 512, "half of its slots are free for others");
}

#[test]
fn nothing_that_is_counted_is_given_to_a_worker_whose_slots_are_all_promised() {
    let mut usage = Usage::default();
    (0..4).for_each(|_| usage.count_light(true));
    assert_eq!(has_room(Some(&gpus(1)), &offer(), 4, &usage), Err(Full::Slots(4)));
    assert_eq!(has_room(None, &offer(), 4, &usage), Ok(()), "others may wait behind, as deep as the caller lets them");
}
