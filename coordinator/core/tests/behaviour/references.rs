//! References: what people call jobs, and which they then mean.

use longshore_core::{CANDIDATES, JobSpec, Meant, Namespace};

use crate::stage::{Stage, job_id, map};

fn named(name: &str) -> JobSpec {
    JobSpec { name: name.to_owned(), stages: vec![map()], ..JobSpec::default() }
}

/// Jobs of these numbers and names, in this order.
fn with_jobs(jobs: &[(u8, &str)]) -> Stage {
    let mut it = Stage::new();
    for (number, name) in jobs {
        it.submit_in("a", *number, "", named(name), 1);
    }
    it
}

fn meant(it: &Stage, asked: &str) -> Meant {
    it.core.ledger().meant(&Namespace::named("a"), asked)
}

fn one(number: u8) -> Meant {
    Meant::One(job_id(number))
}

fn many(numbers: &[u8]) -> Meant {
    Meant::Many(numbers.iter().map(|number| job_id(*number)).collect())
}

#[test]
fn a_job_is_found_by_its_id_and_by_the_beginning_and_the_end_of_that() {
    let it = with_jobs(&[(0x12, ""), (0x34, "")]).restart(2);
    assert_eq!(meant(&it, &job_id(0x12).to_string()), one(0x12));
    assert_eq!(meant(&it, &job_id(0x12).to_string().replace('-', "").to_uppercase()), one(0x12));
    for (asked, number) in [("1", 0x12), ("121", 0x12), ("2", 0x12), ("212", 0x12), ("4", 0x34), ("34343434", 0x34)] {
        assert_eq!(meant(&it, asked), one(number), "{asked}");
    }
    for nothing in ["5", "13", "44", "x", "", "-", &job_id(0x56).to_string()] {
        assert_eq!(meant(&it, nothing), Meant::Nothing, "{nothing:?}");
    }
}

#[test]
fn digits_of_more_than_one_job_mean_none_of_them_and_the_newest_are_named() {
    let it = with_jobs(&[(0x12, ""), (0x21, ""), (0x31, "")]);
    assert_eq!(meant(&it, "1"), many(&[0x31, 0x21, 0x12]));
    assert_eq!(meant(&it, "2"), many(&[0x21, 0x12]));
    let all: Vec<(u8, &str)> = (0x10..0x20).map(|number| (number, "")).collect();
    let Meant::Many(newest) = meant(&with_jobs(&all), "1") else { panic!("one of sixteen is meant") };
    assert_eq!((newest.len(), newest[0]), (CANDIDATES, job_id(0x1f)));
}

#[test]
fn a_name_means_the_newest_job_of_that_name() {
    let mut it = with_jobs(&[(0x10, "count"), (0x11, "other"), (0x12, "count"), (0x13, "")]);
    it.cancel(0x10);
    it.cancel(0x12);
    assert_eq!((meant(&it, "count"), meant(&it, "other")), (one(0x12), one(0x11)));
    let it = it.restart(2);
    assert_eq!((meant(&it, "count"), meant(&it, "coun")), (one(0x12), Meant::Nothing));
}

#[test]
fn of_several_jobs_of_a_name_that_go_on_none_is_meant() {
    let mut it = with_jobs(&[(0x10, "count"), (0x11, "count"), (0x12, "count")]);
    it.cancel(0x12);
    assert_eq!(meant(&it, "count"), many(&[0x11, 0x10]));
    it.cancel(0x10);
    assert_eq!(meant(&it, "count"), one(0x12));
}

#[test]
fn a_name_counts_more_than_the_digits_of_another_and_a_whole_id_most() {
    let whole = job_id(0x12).to_string();
    let it = with_jobs(&[(0x12, "34"), (0x34, "other"), (0x56, &whole), (0x78, "last")]);
    assert_eq!((meant(&it, "34"), meant(&it, &whole), meant(&it, "last")), (one(0x12), one(0x12), one(0x78)));
}

#[test]
fn jobs_of_other_namespaces_are_not_meant() {
    let mut it = with_jobs(&[(0x12, "count")]);
    it.submit_in("b", 0x13, "", named("count"), 1);
    assert_eq!((meant(&it, "count"), meant(&it, "1"), meant(&it, "3")), (one(0x12), one(0x12), Meant::Nothing));
    assert_eq!(it.core.ledger().meant(&Namespace::named("c"), "last"), Meant::Nothing);
}
