//! Small files in memory, shared by all connections.
//!
//! Responsible for keeping what was read, within a bound, and for saying when it must be looked at again. An entry
//! is trusted for a time (a second, by default). The first request after that time looks at the file again and waits
//! for the answer; others that come meanwhile are still served from the entry. So a change is seen at most that time,
//! plus one look at the file, late, and a busy file costs one look each time.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::open::About;
use crate::Prepared;
use crate::date::Date;
use crate::response::write_status;

/// A body up to this size is kept joined to its head, so that an answer is one piece, and nothing is copied.
const JOINED_BODY: usize = 16 << 10;
/// What an entry costs beside its content, in bytes: a careful guess.
const OVERHEAD: usize = 1024;

/// A small file: what it holds, and the answer that it makes.
#[derive(Debug)]
pub(crate) struct CachedFile {
    pub(crate) about: About,
    pub(crate) content: Bytes,
    /// All fields of a 200 but Server, Date and Connection.
    fields: Vec<u8>,
    rendered: Mutex<Option<Rendered>>,
}

/// An answer for one second.
#[derive(Debug)]
struct Rendered {
    second: u64,
    answer: Prepared,
}

impl CachedFile {
    pub(crate) fn new(about: About, content: Bytes, site_fields: &[u8]) -> Self {
        let mut fields = about.fields_with_length();
        fields.extend_from_slice(site_fields);
        Self { about, content, fields, rendered: Mutex::new(None) }
    }

    /// The 200 answer. Built once a second, for its Date; otherwise it costs two reference counts.
    pub(crate) fn answer(&self, date: &Date) -> Prepared {
        let mut rendered = self.rendered.lock().unwrap_or_else(PoisonError::into_inner);
        match &*rendered {
            Some(current) if current.second == date.second => current.answer.clone(),
            _ => {
                let answer = self.render(date);
                *rendered = Some(Rendered { second: date.second, answer: answer.clone() });
                answer
            }
        }
    }

    fn render(&self, date: &Date) -> Prepared {
        let joined = self.content.len() <= JOINED_BODY;
        let mut message = Vec::with_capacity(128 + self.fields.len() + if joined { self.content.len() } else { 0 });
        write_status(&mut message, 200, date);
        message.extend_from_slice(&self.fields);
        message.extend_from_slice(b"\r\n");
        let head = message.len();
        let rest = if joined {
            message.extend_from_slice(&self.content);
            Bytes::new()
        } else {
            self.content.clone()
        };
        Prepared { status: 200, message: message.into(), head, rest }
    }

    fn cost(&self, key: &[u8]) -> usize {
        let joined = if self.content.len() <= JOINED_BODY { 2 } else { 1 };
        OVERHEAD + 2 * key.len() + joined * self.content.len() + 2 * self.fields.len()
    }
}

/// The cache.
#[derive(Debug)]
pub(crate) struct Cache {
    slots: HashMap<Box<[u8]>, Slot, foldhash::quality::RandomState>,
    /// All keys, the next to be evicted first ("second chance").
    order: VecDeque<Box<[u8]>>,
    cost: usize,
    capacity: usize,
    trusted_for: Duration,
    /// What was looked at before is not trusted any more.
    doubted: Option<Instant>,
    /// For building keys without allocating.
    pub(crate) scratch: Vec<u8>,
}

#[derive(Debug)]
struct Slot {
    file: Arc<CachedFile>,
    checked: Instant,
    used: bool,
}

/// What the cache knows of a key.
#[derive(Debug)]
pub(crate) enum Lookup {
    /// The file, to be served as it is.
    Trusted(Arc<CachedFile>),
    /// The file, which the caller is now to look at again; it alone, for a while.
    Doubtful(Arc<CachedFile>),
    Unknown,
}

impl Cache {
    /// An empty cache for so many bytes, whose entries are trusted for so long.
    pub(crate) fn new(capacity: usize, trusted_for: Duration) -> Self {
        Self {
            slots: HashMap::default(),
            order: VecDeque::new(),
            cost: 0,
            capacity,
            trusted_for,
            doubted: None,
            scratch: Vec::new(),
        }
    }

    pub(crate) fn look_up(&mut self, key: &[u8], now: Instant) -> Lookup {
        let Some(slot) = self.slots.get_mut(key) else { return Lookup::Unknown };
        slot.used = true;
        let doubted = self.doubted.is_some_and(|doubted| slot.checked <= doubted);
        if !doubted && now.saturating_duration_since(slot.checked) < self.trusted_for {
            return Lookup::Trusted(Arc::clone(&slot.file));
        }
        slot.checked = now;
        Lookup::Doubtful(Arc::clone(&slot.file))
    }

    /// Remembers a file that was looked at at the moment `checked`.
    pub(crate) fn insert(&mut self, key: &[u8], file: Arc<CachedFile>, checked: Instant) {
        let cost = file.cost(key);
        if cost > self.capacity {
            return self.remove(key);
        }
        if let Some(slot) = self.slots.get_mut(key) {
            self.cost = self.cost - slot.file.cost(key) + cost;
            slot.file = file;
            slot.checked = checked;
        } else {
            self.cost += cost;
            self.order.push_back(key.into());
            self.slots.insert(key.into(), Slot { file, checked, used: false });
        }
        self.evict();
    }

    /// Has every entry looked at again: a file was changed through this server, and it may be known by several keys.
    pub(crate) fn doubt_all(&mut self, now: Instant) {
        self.doubted = Some(now);
    }

    /// Forgets a key.
    pub(crate) fn remove(&mut self, key: &[u8]) {
        if let Some(slot) = self.slots.remove(key) {
            self.cost -= slot.file.cost(key);
            self.order.retain(|other| **other != *key);
        }
    }

    fn evict(&mut self) {
        while self.cost > self.capacity
            && let Some(key) = self.order.pop_front()
        {
            match self.slots.get_mut(&key) {
                Some(slot) if slot.used => {
                    slot.used = false;
                    self.order.push_back(key);
                }
                Some(slot) => {
                    self.cost -= slot.file.cost(&key);
                    self.slots.remove(&key);
                }
                None => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::open::Identity;

    fn file(length: usize) -> Arc<CachedFile> {
        let identity = Identity { device: 1, inode: 2, length: length as u64, modified: Duration::ZERO };
        let (content_type, etag, last_modified) = Default::default();
        let about = About { identity, content_type, coding: None, varies: false, etag, last_modified };
        Arc::new(CachedFile::new(about, vec![b'x'; length].into(), b""))
    }

    #[test]
    fn an_entry_is_doubted_once_each_time() {
        let mut cache = Cache::new(1 << 20, Duration::from_secs(1));
        let start = Instant::now();
        assert!(matches!(cache.look_up(b"a", start), Lookup::Unknown));
        cache.insert(b"a", file(10), start);
        assert!(matches!(cache.look_up(b"a", start + Duration::from_millis(999)), Lookup::Trusted(_)));
        assert!(matches!(cache.look_up(b"a", start + Duration::from_secs(1)), Lookup::Doubtful(_)));
        assert!(matches!(cache.look_up(b"a", start + Duration::from_secs(1)), Lookup::Trusted(_)), "by one alone");
        cache.doubt_all(start + Duration::from_secs(1));
        assert!(matches!(cache.look_up(b"a", start + Duration::from_millis(1001)), Lookup::Doubtful(_)));
        assert!(matches!(cache.look_up(b"a", start + Duration::from_millis(1002)), Lookup::Trusted(_)));
        cache.remove(b"a");
        assert!(matches!(cache.look_up(b"a", start), Lookup::Unknown));
        assert_eq!(cache.cost, 0);
    }

    #[test]
    fn the_cache_is_bounded_and_keeps_what_is_used() {
        let mut cache = Cache::new(100 << 10, Duration::from_secs(1));
        let start = Instant::now();
        cache.insert(b"used", file(20 << 10), start);
        for number in 0..100_u32 {
            cache.look_up(b"used", start);
            cache.insert(&number.to_be_bytes(), file(20 << 10), start);
            assert!(cache.cost <= cache.capacity);
            assert_eq!(cache.slots.len(), cache.order.len());
        }
        assert!(matches!(cache.look_up(b"used", start), Lookup::Trusted(_)));
        assert!(matches!(cache.look_up(&0_u32.to_be_bytes(), start), Lookup::Unknown));
        cache.insert(b"large", file(101 << 10), start);
        assert!(matches!(cache.look_up(b"large", start), Lookup::Unknown));
    }

    #[test]
    fn the_answer_is_built_once_a_second() {
        let at = |second| Date::at(std::time::UNIX_EPOCH + Duration::from_secs(second));
        for length in [10, JOINED_BODY + 1] {
            let file = file(length);
            let (first, again, next) = (file.answer(&at(1)), file.answer(&at(1)), file.answer(&at(2)));
            assert_eq!(first.message.as_ptr(), again.message.as_ptr());
            assert_ne!(first.message, next.message);
            assert_eq!(first.body_length(), length as u64);
        }
    }
}
