//! Sections 5.5.1 and 7: the close handshake.

use super::*;

fn close(code: u16, reason: &[u8]) -> Vec<u8> {
    frame(0x88, &[&code.to_be_bytes(), reason].concat())
}

fn close_frame(code: u16, reason: &str) -> CloseFrame {
    let code = CloseCode::new(code).expect("a code for the wire");
    CloseFrame::new(code, reason)
}

#[test]
fn clients_close_is_answered_with_its_code() {
    for code in [1000, 1001, 1011, 1014, 3000, 4999] {
        let reply = AnyFrame::close(Some(&close_frame(code, "")));
        let received = Some(close_frame(code, "bye ü"));
        let expected = [Action::Close { received, reply }];
        assert_eq!(actions(&close(code, "bye ü".as_bytes())), expected);
    }
}

#[test]
fn empty_close_is_answered_with_an_empty_one() {
    let reply = AnyFrame::close(None);
    let received = None;
    assert_eq!(
        actions(&frame(0x88, b"")),
        [Action::Close { received, reply }]
    );
}

#[test]
fn nothing_is_received_after_the_clients_close() {
    let limits = Limits::default();
    let mut protocol = Protocol::new(false);
    let bytes = [close(1000, b""), frame(0x81, b"late"), vec![0xff; 100]].concat();
    assert_eq!(feed(&mut protocol, &limits, &bytes, usize::MAX).len(), 1);
    assert_eq!(protocol.state(), ProtocolState::Closed);
    assert!(protocol.close(None).is_none());
    let received = protocol.receive(&limits, &mut [0xff; 10]);
    assert_eq!((received.consumed, received.action), (10, None));
}

#[test]
fn what_follows_the_clients_close_is_consumed_with_it() {
    let limits = Limits::default();
    for ours in [None, Some(close_frame(1001, ""))] {
        let mut protocol = Protocol::new(false);
        if ours.is_some() {
            protocol.close(ours.as_ref());
        }
        let mut bytes = [close(1000, b""), vec![0x81]].concat();
        let received = protocol.receive(&limits, &mut bytes);
        assert!(received.action.is_some());
        assert_eq!(received.consumed, bytes.len());
    }
}

#[test]
fn servers_close_ends_with_the_clients() {
    let limits = Limits::default();
    let ours = close_frame(1001, "restart");
    for split in SPLITS {
        let mut protocol = Protocol::new(false);
        assert_eq!(protocol.state(), ProtocolState::Open);
        assert_eq!(
            protocol.close(Some(&ours)),
            Some(AnyFrame::close(Some(&ours)))
        );
        assert_eq!(protocol.close(None), None);
        assert_eq!(protocol.state(), ProtocolState::Closing);
        let received = Some(close_frame(1001, ""));
        let actions = feed(&mut protocol, &limits, &close(1001, b""), split);
        assert_eq!(actions, [Action::Closed { received }]);
        assert_eq!(protocol.state(), ProtocolState::Closed);
    }
}

#[test]
fn messages_are_discarded_while_closing() {
    let limits = Limits {
        message: 10,
        fragments: 2,
    };
    let bytes = [
        frame(0x81, b"\xff"),
        frame(0x82, &[0; 100]),
        frame(0x01, b"\xff"),
        frame(0x00, &[0; 100]),
        frame(0x89, b""),
        frame(0x00, b""),
        frame(0x80, b""),
        frame(0x88, b""),
    ]
    .concat();
    for split in SPLITS {
        let mut protocol = Protocol::new(false);
        protocol.close(None);
        let actions = feed(&mut protocol, &limits, &bytes, split);
        assert_eq!(actions, [Action::Closed { received: None }]);
    }
}

#[test]
fn incomplete_message_is_discarded_when_the_server_closes() {
    let limits = Limits::default();
    let bytes = [frame(0x01, b"abc"), frame(0x80, b"def"), frame(0x88, b"")].concat();
    for at in 0..bytes.len() - 7 {
        let mut protocol = Protocol::new(false);
        feed(&mut protocol, &limits, &bytes[..at], usize::MAX);
        assert!(protocol.close(None).is_some());
        let actions = feed(&mut protocol, &limits, &bytes[at..], 2);
        assert_eq!(actions, [Action::Closed { received: None }], "at {at}");
    }
}

#[test]
fn framing_is_still_checked_while_closing_but_there_is_no_second_reply() {
    for (bytes, error) in [
        (vec![0x83], ProtocolError::ReservedOpcode(3)),
        (vec![0x80], ProtocolError::UnexpectedContinuation),
        (vec![0x81, 0], ProtocolError::Unmasked),
        (close(1005, b""), ProtocolError::InvalidCloseCode(1005)),
    ] {
        let mut protocol = Protocol::new(false);
        protocol.close(None);
        let actions = feed(&mut protocol, &Limits::default(), &bytes, 1);
        let reply = None;
        assert_eq!(actions, [Action::Fail { error, reply }]);
        assert_eq!(protocol.state(), ProtocolState::Closed);
    }
}

#[test]
fn invalid_close_frames_are_refused() {
    for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65_535] {
        let error = ProtocolError::InvalidCloseCode(code);
        assert_eq!(*error_of(&actions(&close(code, b""))), error);
    }
    let error = ProtocolError::InvalidClosePayload;
    assert_eq!(*error_of(&actions(&frame(0x88, b"\x03"))), error);
    assert_eq!(
        *error_of(&actions(&[0x88, 0x81])),
        error,
        "the header says it"
    );
    let error = ProtocolError::InvalidUtf8;
    assert_eq!(*error_of(&actions(&close(1000, b"\xff"))), error);
}

#[test]
fn errors_have_the_codes_of_section_7_4() {
    let limit = 1;
    for (error, code) in [
        (ProtocolError::Unmasked, 1002),
        (ProtocolError::InvalidCloseCode(1), 1002),
        (ProtocolError::InvalidUtf8, 1007),
        (ProtocolError::Inflate, 1007),
        (ProtocolError::MessageTooBig { limit }, 1009),
        (ProtocolError::TooManyFragments { limit: 1 }, 1009),
    ] {
        assert_eq!(error.close_code().as_u16(), code, "{error}");
    }
}
