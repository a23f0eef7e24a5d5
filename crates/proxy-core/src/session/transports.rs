//! What the SSH transports of the two legs tell.

use alloc::format;
use alloc::string::String;

use ssh_transport::{Client, ClientEvent, KeyExchange, ServerEvent};

use super::Session;
use crate::{Leg, Now};

impl Session {
    /// Acts on what a leg's transport has to tell; true if there was anything.
    pub(super) fn drain_events(&mut self, leg: Leg, now: Now) -> bool {
        let mut any = false;
        match leg {
            Leg::Client => {
                while let Some(event) = self.client.poll_event() {
                    any = true;
                    self.client_event(event, now);
                }
            }
            Leg::Target => {
                while let Some(event) = self.target.as_mut().and_then(Client::poll_event) {
                    any = true;
                    self.target_event(event, now);
                }
            }
        }
        any
    }

    fn client_event(&mut self, event: ServerEvent, now: Now) {
        match event {
            ServerEvent::PeerIdentified(ident) => self.client_identified(ident, now),
            ServerEvent::SignExchangeHash(request) => self.sign_exchange_hash(request, now),
            ServerEvent::KeyExchanged(exchanged) => {
                self.remember_session_id(Leg::Client, &exchanged);
                self.known
                    .client_algorithms
                    .get_or_insert_with(|| algorithms(&exchanged));
            }
            ServerEvent::AuthAttempt(attempt) => self.login_attempted(attempt, now),
            ServerEvent::AuthResponses(answer) => self.reason_given(answer, now),
            ServerEvent::Authenticated => {}
            ServerEvent::Disconnected { text, .. } => self.leg_gone(Leg::Client, &text, now),
            _ => {}
        }
    }

    fn target_event(&mut self, event: ClientEvent, now: Now) {
        match event {
            ClientEvent::PeerIdentified(ident) => self.known.target_ident = Some(ident),
            ClientEvent::HostKey(question) => self.target_host_key(question, now),
            ClientEvent::KeyExchanged(exchanged) => {
                self.remember_session_id(Leg::Target, &exchanged);
                self.known
                    .target_algorithms
                    .get_or_insert_with(|| algorithms(&exchanged));
                self.known.target_ready = true;
                self.target_is_back(now);
                self.present_certificate(now);
            }
            ClientEvent::SignAuth(request) => {
                self.sign_login(request, now);
            }
            ClientEvent::Banner(text) => self.target_banner(text),
            ClientEvent::Authenticated => self.target_accepted(now),
            ClientEvent::AuthFailed { .. } => self.certificate_rejected(now),
            ClientEvent::Disconnected { text, .. } => self.leg_gone(Leg::Target, &text, now),
            _ => {}
        }
    }
}

fn algorithms(exchanged: &KeyExchange) -> String {
    format!(
        "{} {} in {} out {}{}",
        exchanged.kex,
        exchanged.host_key_algorithm.name(),
        exchanged.cipher_in,
        exchanged.cipher_out,
        if exchanged.strict { " strict" } else { "" },
    )
}
