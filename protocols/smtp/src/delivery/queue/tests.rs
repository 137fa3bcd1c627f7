use std::thread;

use prometheus::{Histogram, HistogramOpts, IntGauge};
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::content::Content;
use crate::mailboxes::MailboxName;
use crate::memory::Budget;
use crate::test_server::files;

fn queue(directory: &TempDir) -> Arc<Queue> {
    let maildir = Maildir::new(directory.path().join("mail"), 0, 100, 100);
    Arc::new(Queue::new(maildir, Histogram::with_opts(HistogramOpts::new("batch", "batch")).unwrap()))
}

fn message(name: &str) -> Message {
    let budget = Budget::new(usize::MAX, IntGauge::new("held", "held").unwrap());
    let mut content = Content::new(budget.reservation());
    content.append(name.as_bytes()).unwrap();
    Message { file_name: name.to_owned(), mailboxes: vec![MailboxName::new("foo.com", "jones")], content }
}

fn stored(directory: &TempDir) -> Vec<String> {
    let paths = files(&directory.path().join("mail"));
    paths.iter().map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect()
}

#[test]
fn one_job_commits_all_that_wait_and_the_others_find_their_results() {
    let directory = TempDir::new().unwrap();
    let queue = queue(&directory);
    let tickets: Vec<_> = ["a", "b", "c"].map(|name| Ticket::new(message(name))).into();
    tickets.iter().for_each(|ticket| queue.offer(Arc::clone(ticket)));
    assert_eq!(queue.deliver(&tickets[1]), Ok(()));
    assert_eq!(stored(&directory), ["a", "b", "c"]);
    assert_eq!((queue.batch_size.get_sample_count(), queue.batch_size.get_sample_sum()), (1, 3.0));
    assert_eq!(queue.deliver(&tickets[0]), Ok(()));
    assert_eq!(queue.deliver(&tickets[2]), Ok(()));
    assert_eq!(queue.batch_size.get_sample_count(), 1, "the disk was not asked again");
}

#[test]
fn a_job_that_comes_before_its_offer_delivers_all_the_same() {
    let directory = TempDir::new().unwrap();
    let queue = queue(&directory);
    let ticket = Ticket::new(message("a"));
    assert_eq!(queue.deliver(&ticket), Ok(()));
    queue.offer(ticket);
    assert!(lock(&queue.waiting).is_empty());
    assert_eq!(stored(&directory), ["a"]);
}

#[test]
fn a_result_that_was_lost_is_a_failure_and_not_a_wait() {
    let directory = TempDir::new().unwrap();
    let ticket = Ticket::new(message("a"));
    drop(ticket.begin());
    assert_eq!(queue(&directory).deliver(&ticket), Err(Failure::Failed));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn every_job_returns_and_every_message_is_there_once(workers in 1_usize..5, offered in any::<[bool; 24]>()) {
        let directory = TempDir::new().unwrap();
        let queue = queue(&directory);
        let tickets: Vec<_> = (0..24).map(|number| Ticket::new(message(&format!("{number:02}")))).collect();
        let jobs = Mutex::new(tickets.clone());
        // The guard is gone before the job runs.
        let next = || lock(&jobs).pop();
        thread::scope(|scope| {
            for _ in 0..workers {
                scope.spawn(|| {
                    while let Some(own) = next() {
                        assert_eq!(queue.deliver(&own), Ok(()));
                    }
                });
            }
            for (ticket, _) in tickets.iter().zip(offered).filter(|(_, offered)| *offered) {
                queue.offer(Arc::clone(ticket));
            }
        });
        let expected: Vec<String> = (0..24).map(|number| format!("{number:02}")).collect();
        prop_assert_eq!(stored(&directory), expected);
    }
}
