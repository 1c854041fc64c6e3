//! Every drill keeps its counts, as the program that operators run prints them.
#![allow(clippy::unwrap_used, reason = "a test says what it expects")]

use std::process::{Command, Output};

fn bsm(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_bsm"))
        .args(args)
        .output()
        .unwrap()
}

/// One test each, so that they run beside each other and a broken promise has a name.
macro_rules! drills {
    ($all:ident $none:ident $($test:ident $name:literal)*) => {$(
        #[test]
        fn $test() {
            let output = bsm(&["drill", $name, "--json"]);
            let text = String::from_utf8(output.stdout).unwrap();
            assert_eq!(output.status.code(), Some(0), "{text}");
            let all: Vec<bsm::drill::Drilled> = serde_json::from_str(&text).unwrap();
            assert_eq!((all.len(), &*all[0].name), (1, $name));
            assert!(all[0].measures.len() > 2, "{text}");
        }
    )*
        #[test]
        fn $none() {
            let tested = [$($name),*];
            let all: Vec<&str> = bsm::drill::$all.iter().map(|d| d.name).collect();
            assert_eq!(all, tested);
        }
    };
}

drills! {
    DRILLS none_is_left_out
    an_outage "outage"
    a_slow_provider "slow"
    a_flaky_provider "flaky"
    a_rate_limit "rate-limited"
    a_stampede "stampede"
    poison "poison"
    a_brownout "brownout"
    a_recovery "recovery"
}

drills! {
    DISK_DRILLS no_disk_drill_is_left_out
    a_full_disk "full-disk"
    an_io_error "io-error"
    a_frozen_disk "frozen-disk"
    a_kill "kill-9"
    a_set_clock "clock"
    a_deleted_file "deleted-file"
}

#[test]
fn disk_drill_says_promise_and_measurement_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().to_str().unwrap();
    let output = bsm(&["drill", "deleted-file", "--at", at, "--ascii"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{text}");
    let line = text
        .lines()
        .find(|l| l.contains("acknowledged while it was gone"));
    assert!(
        line.is_some_and(|l| l.starts_with("  + ") && l.contains("= 0")),
        "{text}"
    );
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn disk_drill_that_cannot_be_carried_out_exits_1_and_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("no-folder");
    std::fs::write(&file, "").unwrap();
    let output = bsm(&["drill", "full-disk", "--at", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("no-folder"), "{said}");
}

#[test]
fn results_are_saved_and_compared_and_an_unknown_name_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("before.json");
    let file = file.to_str().unwrap();
    assert!(bsm(&["drill", "stampede", "--save", file]).status.success());
    let again = bsm(&["drill", "stampede", "--compare", file]);
    let text = String::from_utf8(again.stdout).unwrap();
    assert!(text.contains("was 1"), "{text}");
    let wrong = bsm(&["drill", "earthquake"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(
        String::from_utf8(wrong.stderr)
            .unwrap()
            .contains("brownout")
    );
}
