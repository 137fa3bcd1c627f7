//! Files over networks that lose, delay, reorder, double and damage what they carry.

use std::path::Path;
use std::time::Duration;

use tapster_tests::lab::{ADDRESS, Far, Lab, Plan};

/// The length of the file, in bytes.
const LENGTH: u64 = 20_000_000;

/// A lab whose clients are at the far end of a bad cable.
fn lab(length: u64, conditions: &[&str]) -> (Lab, Far, std::path::PathBuf) {
    let mut plan = Plan::new();
    plan.bridge = Some("br0".to_owned());
    plan.services = "\n[services.http]\n[[services.http.sites]]\nhosts = [\"*\"]\nroot = \"www\"\nwritable = true\n\
                     [services.tftp]\nroot = \"www\"\n"
        .to_owned();
    let original = plan.large_file("www/large", length);
    plan.large_file("www/boot", 200_000);
    let lab = plan.start();
    let far = lab.far(conditions);
    (lab, far, original)
}

#[track_caller]
fn same(copy: &Path, original: &Path) {
    assert!(std::fs::read(copy).unwrap() == std::fs::read(original).unwrap(), "{} differs", copy.display());
}

#[track_caller]
fn both_ways(length: u64, conditions: &[&str]) {
    let (lab, far, original) = lab(length, conditions);
    let curl = |arguments: &[&str]| {
        let curl = far.program("curl").args(["--silent", "--show-error", "--fail", "--max-time", "110"]);
        curl.args(arguments).limit(Duration::from_secs(120)).output().success();
    };
    let copy = lab.path("copy");
    curl(&["--output", &copy.to_string_lossy(), &format!("http://{ADDRESS}/large")]);
    same(&copy, &original);
    curl(&["--upload-file", &original.to_string_lossy(), &format!("http://{ADDRESS}/uploaded")]);
    same(&lab.path("www/uploaded"), &original);
}

#[test]
fn a_good_cable_carries_both_ways() {
    both_ways(LENGTH, &[]);
}

#[test]
fn one_in_a_hundred_is_lost() {
    both_ways(LENGTH, &["--loss", "0.01", "--delay", "1"]);
}

#[test]
fn three_in_a_hundred_are_lost_on_a_longer_way() {
    both_ways(LENGTH, &["--loss", "0.03", "--delay", "2", "--seed", "3"]);
}

#[test]
fn one_in_ten_is_lost() {
    // A fifth, which takes long enough: each loss of a retransmission is a time-out.
    both_ways(LENGTH / 5, &["--loss", "0.1", "--seed", "7"]);
}

#[test]
fn a_long_way_with_a_short_queue() {
    both_ways(LENGTH, &["--delay", "50", "--rate", "100000000", "--queue", "200000"]);
}

#[test]
fn everything_at_once() {
    let trouble = ["--loss", "0.005", "--reorder", "0.02", "--duplicate", "0.02", "--corrupt", "0.005"];
    both_ways(LENGTH, &[&trouble[..], &["--delay", "1", "--jitter", "1", "--seed", "11"]].concat());
}

#[test]
fn a_boot_file_comes_through_every_trouble() {
    let trouble = ["--loss", "0.03", "--reorder", "0.05", "--duplicate", "0.05", "--corrupt", "0.01", "--delay", "1"];
    let (lab, far, _) = lab(LENGTH, &trouble);
    for window in ["1", "8"] {
        let copy = lab.path(&format!("boot-{window}"));
        let atftp = far.program("atftp").args(["--tftp-timeout", "1", "--option", "blksize 1428", "--option"]);
        let atftp = atftp.arg(format!("windowsize {window}")).args(["--get", "-r", "boot", "-l"]);
        atftp.arg(&copy).arg(ADDRESS).limit(Duration::from_secs(100)).output().success();
        same(&copy, &lab.path("www/boot"));
    }
}
