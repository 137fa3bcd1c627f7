use hickory_proto::op::Message;
use hickory_proto::rr::RecordType;
use proptest::prelude::*;
use tapster_service::testing::{TestEnvironment, TestStream};

use super::*;
use crate::server::testing::{example, query};

struct Conversation {
    environment: TestEnvironment,
    stream: TestStream,
    session: Box<dyn Session>,
}

impl Conversation {
    fn new(limits: &Limits) -> Self {
        let mut environment = TestEnvironment::default();
        let peer = Peer {
            local: "192.0.2.2:53".parse().unwrap(),
            remote: "192.0.2.1:4242".parse().unwrap(),
            link_address: None,
            connection: 1,
        };
        let mut tcp = Tcp::new(Arc::new(example()), limits);
        let session = environment.with_context(|cx| tcp.accept(peer, cx));
        Self { environment, stream: TestStream::default(), session }
    }

    fn advance(&mut self) -> Next {
        self.environment.advance(self.session.as_mut(), &mut self.stream)
    }

    fn send(&mut self, octets: &[u8]) -> Next {
        self.stream.input.extend_from_slice(octets);
        self.advance()
    }

    /// Sends octets after which the session must wait for more.
    fn send_and_wait(&mut self, octets: &[u8]) -> Wait {
        wait(self.send(octets))
    }

    /// The identifiers of the responses so far; each must be whole.
    fn responses(&mut self) -> Vec<u16> {
        let output = self.stream.take_output();
        let mut rest = output.as_slice();
        let mut identifiers = Vec::new();
        while let Some(message) = message(rest) {
            identifiers.push(Message::from_vec(message).unwrap().metadata.id);
            rest = &rest[2 + message.len()..];
        }
        assert!(rest.is_empty());
        identifiers
    }

    fn after(&self, time: Duration) -> Option<Instant> {
        Some(self.environment.now + time)
    }
}

fn framed(id: u16) -> Vec<u8> {
    let mut query = query("www.example.test.", RecordType::A);
    query.metadata.id = id;
    let message = query.to_vec().unwrap();
    [&(message.len() as u16).to_be_bytes()[..], &message].concat()
}

fn wait(next: Next) -> Wait {
    match next {
        Next::Wait(wait) => wait,
        other => panic!("{other:?} is no wait"),
    }
}

const IDLE: Duration = Duration::from_secs(10);
const QUERY: Duration = Duration::from_secs(5);

#[test]
fn queries_are_answered_in_order() {
    let mut conversation = Conversation::new(&Limits::default());
    let next = conversation.send(&[framed(1), framed(2), framed(3)].concat());
    assert_eq!(conversation.responses(), [1, 2, 3]);
    assert_eq!(next, Next::Wait(Wait { input: true, room: 0, deadline: conversation.after(IDLE) }));
    conversation.send_and_wait(&framed(4));
    assert_eq!(conversation.responses(), [4]);
}

#[test]
fn a_query_may_come_in_pieces() {
    let mut conversation = Conversation::new(&Limits::default());
    for octet in framed(7) {
        assert_eq!(conversation.responses(), []);
        conversation.send_and_wait(&[octet]);
    }
    assert_eq!(conversation.responses(), [7]);
}

#[test]
fn an_idle_connection_is_closed() {
    let mut conversation = Conversation::new(&Limits::default());
    assert_eq!(wait(conversation.advance()).deadline, conversation.after(IDLE));
    conversation.environment.pass(IDLE - Duration::from_secs(1));
    conversation.send_and_wait(&framed(1));
    assert_eq!(wait(conversation.advance()).deadline, conversation.after(IDLE));
    conversation.environment.pass(IDLE);
    assert_eq!(conversation.advance(), Next::Close);
}

#[test]
fn a_slow_query_is_cut_off_however_it_trickles() {
    let mut conversation = Conversation::new(&Limits::default());
    let query = framed(1);
    assert_eq!(wait(conversation.send(&query[..1])).deadline, conversation.after(QUERY));
    for octet in &query[1..5] {
        conversation.environment.pass(Duration::from_secs(1));
        wait(conversation.send(&[*octet]));
    }
    conversation.environment.pass(Duration::from_secs(1));
    assert_eq!(conversation.send(&query[5..6]), Next::Close);
}

#[test]
fn the_end_of_the_input_is_the_end() {
    let mut conversation = Conversation::new(&Limits::default());
    conversation.stream.input_finished = true;
    assert_eq!(conversation.send(&[framed(1), vec![0, 40, 1]].concat()), Next::Close);
    assert_eq!(conversation.responses(), [1]);
}

#[test]
fn queries_wait_while_responses_are_not_read() {
    let mut conversation = Conversation::new(&Limits::default());
    conversation.stream.room = Some(100);
    let next = conversation.send(&framed(1).repeat(50));
    assert_eq!(next, Next::Wait(Wait { input: false, room: WORTHWHILE_ROOM, deadline: conversation.after(IDLE) }));
    let first = conversation.responses().len();
    assert!(first < 5, "{first}");
    conversation.stream.room = None;
    assert!(wait(conversation.advance()).input);
    assert_eq!(first + conversation.responses().len(), 50);
}

#[test]
fn who_never_reads_is_reset() {
    let mut conversation = Conversation::new(&Limits::default());
    conversation.stream.room = Some(0);
    wait(conversation.send(&framed(1)));
    conversation.environment.pass(IDLE);
    assert_eq!(conversation.advance(), Next::Abort);
}

#[test]
fn the_number_of_queries_is_limited() {
    let limits = Limits { tcp_queries: 2, ..Limits::default() };
    let mut conversation = Conversation::new(&limits);
    assert_eq!(conversation.send(&[framed(1), framed(2), framed(3)].concat()), Next::Close);
    assert_eq!(conversation.responses(), [1, 2]);
}

#[test]
fn a_message_that_is_not_answered_is_passed_over() {
    let mut conversation = Conversation::new(&Limits::default());
    let next = conversation.send(&[vec![0, 0, 0, 3, 1, 2, 3], framed(5)].concat());
    assert!(wait(next).input);
    assert_eq!(conversation.responses(), [5]);
}

proptest! {
    #[test]
    fn arbitrary_octets_in_arbitrary_pieces(
        pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 0..8),
        room in prop::option::of(0usize..400),
    ) {
        let mut conversation = Conversation::new(&Limits::default());
        conversation.stream.room = room;
        for piece in pieces {
            conversation.send_and_wait(&piece);
        }
        conversation.responses();
    }

    #[test]
    fn cuts_do_not_matter(cuts in prop::collection::vec(0usize..120, 0..6)) {
        let input = [framed(1), framed(2), framed(3)].concat();
        let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(input.len())).collect();
        cuts.extend([0, input.len()]);
        cuts.sort_unstable();
        let mut conversation = Conversation::new(&Limits::default());
        for pair in cuts.windows(2) {
            conversation.send_and_wait(&input[pair[0]..pair[1]]);
        }
        prop_assert_eq!(conversation.responses(), [1, 2, 3]);
    }
}
