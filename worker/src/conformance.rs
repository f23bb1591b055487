//! The container contract, tried whole: one image as stage, gather, leaf and merge, over both interfaces, as plain
//! processes and in containers.
//!
//! What is checked is that the roles agree: the same bytes in give the same bytes out, a process and a server are told the
//! same, and the same failure is judged the same.

mod image;
mod world;

use std::time::Duration;

use bytes::Bytes;
use longshore_contract::bounds::ANSWER_BYTES;
use longshore_proto::v1::FailureClass;

use self::world::{Interface, Judged, Role, World};

/// A role and an interface; every check is made for all of them.
const ALL: [(Role, Interface); 8] = [
    (Role::Stage, Interface::Files),
    (Role::Gather, Interface::Files),
    (Role::Leaf, Interface::Files),
    (Role::Merge, Interface::Files),
    (Role::Stage, Interface::Http),
    (Role::Gather, Interface::Http),
    (Role::Leaf, Interface::Http),
    (Role::Merge, Interface::Http),
];

/// Runs a check on processes, then in containers.
async fn everywhere(check: impl AsyncFn(&mut World)) {
    let mut world = World::of_processes();
    check(&mut world).await;
    world.end().await;
    World::in_containers(&check).await;
}

#[tokio::test]
async fn the_same_bytes_in_give_the_same_bytes_out() {
    everywhere(async |world| {
        let binary: Vec<u8> = (0..=255).cycle().take(3_000).collect();
        let long = vec![b'x'; 300_000];
        for bytes in [&b""[..], b"echo", &binary, &long] {
            for (role, interface) in ALL {
                let judged = world.ask(role, interface, Bytes::copy_from_slice(bytes)).await;
                assert!(judged == Judged::Answer(bytes.to_vec().into()), "{role:?} over {interface:?}: {judged:?}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_process_and_a_server_are_told_the_same() {
    everywhere(async |world| {
        for role in [Role::Stage, Role::Gather, Role::Leaf, Role::Merge] {
            let process = world.facts(role, Interface::Files).await;
            let mut server = world.facts(role, Interface::Http).await;
            if role == Role::Gather {
                // A process counts its parts in the manifest; a server hears it before they come.
                assert_eq!(server.remove("LONGSHORE_SHARDS").as_deref(), Some("2"));
            }
            assert_eq!(process, server, "{role:?}");
            assert_eq!(process["LONGSHORE_JOB"], "find", "{role:?}");
            assert_eq!(process["LONGSHORE_ATTEMPT"], "1", "{role:?}");
            assert_eq!(process["LONGSHORE_NAME"], role.item_name(), "{role:?}");
            assert_eq!(process["WORDS"], role.words(), "{role:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn what_was_sent_along_is_there_for_every_role() {
    everywhere(async |world| {
        for (role, interface) in ALL {
            let judged = world.ask_for_what_was_sent(role, interface).await;
            assert!(judged == Judged::Answer("a word\nsaid\n".into()), "{role:?} over {interface:?}: {judged:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn the_same_failure_is_judged_the_same() {
    everywhere(async |world| {
        for (role, interface) in ALL {
            let exit = world.ask(role, interface, "exit".into()).await;
            exit.is_failure(FailureClass::Exit, (role, interface));
            let dies = world.ask(role, interface, "signal".into()).await;
            match interface {
                Interface::Files => dies.is_failure(FailureClass::Signal, (role, interface)),
                // The server goes, and its container with it.
                Interface::Http => dies.is_failure(FailureClass::SlotLost, (role, interface)),
            }
            assert_eq!(world.answer(role, interface, "after").await, "after", "{role:?} over {interface:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn what_takes_too_long_is_ended() {
    everywhere(async |world| {
        for (role, interface) in ALL {
            let slow = world.ask_within(role, interface, "slow".into(), Duration::from_millis(400)).await;
            slow.is_failure(FailureClass::Timeout, (role, interface));
        }
    })
    .await;
}

#[tokio::test]
async fn a_server_hears_how_long_it_is_waited_for() {
    everywhere(async |world| {
        for role in [Role::Stage, Role::Gather, Role::Leaf, Role::Merge] {
            let within = Duration::from_secs(3_000);
            let Judged::Answer(text) = world.ask_within(role, Interface::Http, "timeout".into(), within).await else {
                panic!("{role:?}: no answer")
            };
            let told: u128 = std::str::from_utf8(&text).unwrap().parse().unwrap();
            assert!((2_000_000..=within.as_millis()).contains(&told), "{role:?}: {told} ms");
        }
        let Judged::Answer(text) = world.ask(Role::Stage, Interface::Http, "timeout".into()).await else {
            panic!("no answer")
        };
        assert_eq!(text, "none", "a stage without a timeout is waited for as long as it takes");
    })
    .await;
}

#[tokio::test]
async fn an_output_past_its_bound_is_refused() {
    everywhere(async |world| {
        for (role, interface) in [
            (Role::Stage, Interface::Files),
            (Role::Merge, Interface::Files),
            (Role::Gather, Interface::Http),
            (Role::Leaf, Interface::Http),
        ] {
            let large = world.ask(role, interface, format!("large {}", ANSWER_BYTES + 1).into()).await;
            large.is_failure(FailureClass::Output, (role, interface));
        }
    })
    .await;
}

#[tokio::test]
async fn whatever_fills_its_temporary_space_is_ended() {
    everywhere(async |world| {
        for (role, interface) in ALL {
            // Twice: a single file is bounded by the kernel.
            let spill = format!("spill {}", image::TMP_BYTES / 2 + (1 << 20));
            let spilled = world.ask(role, interface, spill.into()).await;
            spilled.is_failure(FailureClass::Output, (role, interface));
            let replica_is_replaced = interface == Interface::Http && matches!(role, Role::Leaf | Role::Merge);
            // Whoever called is told that the server hung up; the replica's own report has the reason.
            assert!(replica_is_replaced || spilled.words().contains("may take 64 MiB"), "{role:?}: {spilled:?}");
            assert_eq!(world.answer(role, interface, "after").await, "after", "{role:?} over {interface:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_status_means_the_same_in_every_role() {
    everywhere(async |world| {
        for role in [Role::Stage, Role::Gather, Role::Leaf, Role::Merge] {
            for (status, class) in [
                (400, FailureClass::Refused),
                (413, FailureClass::Refused),
                (422, FailureClass::Refused),
                (503, FailureClass::Infrastructure),
                (504, FailureClass::Timeout),
                (500, FailureClass::Exit),
            ] {
                let judged = world.ask(role, Interface::Http, format!("status {status}").into()).await;
                judged.is_failure(class, (role, Interface::Http));
                assert!(judged.words().contains(&format!("({status} ")), "{role:?}: {judged:?}");
                assert!(judged.words().ends_with(": so it is"), "the server's own words: {judged:?}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_server_that_says_no_before_it_has_read_everything_is_heard() {
    everywhere(async |world| {
        let large = Bytes::from(vec![b'x'; 24 << 20]);
        for role in [Role::Stage, Role::Gather, Role::Leaf, Role::Merge] {
            for _ in 0..3 {
                let judged = world.ask(role, Interface::Http, large.clone()).await;
                judged.is_failure(FailureClass::Refused, (role, Interface::Http));
                assert!(judged.words().contains("413"), "{role:?}: {judged:?}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_body_that_is_no_multipart_is_refused_by_what_wants_parts() {
    everywhere(async |world| {
        for role in [Role::Stage, Role::Leaf] {
            let judged = world.ask(role, Interface::Http, "parts".into()).await;
            judged.is_failure(FailureClass::Refused, (role, Interface::Http));
        }
        for role in [Role::Gather, Role::Merge] {
            let judged = world.ask(role, Interface::Http, "parts".into()).await;
            assert!(judged == Judged::Answer("parts".into()), "{role:?}: {judged:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_server_that_breaks_off_is_lost() {
    everywhere(async |world| {
        for role in [Role::Stage, Role::Gather, Role::Leaf, Role::Merge] {
            let judged = world.ask(role, Interface::Http, "hang up".into()).await;
            judged.is_failure(FailureClass::SlotLost, (role, Interface::Http));
        }
    })
    .await;
}

#[tokio::test]
async fn a_promised_output_that_is_missing_is_a_failure() {
    everywhere(async |world| {
        for role in [Role::Stage, Role::Gather, Role::Leaf, Role::Merge] {
            let judged = world.ask_for_nothing(role).await;
            judged.is_failure(FailureClass::Output, (role, Interface::Files));
            assert!(judged.words().starts_with("left no output: expected \""), "{role:?}: {judged:?}");
        }
    })
    .await;
}
