//! Doors for the crate's own tests of hostile peers.

use alloc::vec::Vec;

use super::{Core, Phase};
use crate::event::Common;
use crate::packet::{Opened, Sealer};

impl<E: From<Common>> Core<E> {
    pub(crate) fn open_for_test(&mut self, input: &mut [u8]) -> Option<Opened> {
        self.opener.open(input).unwrap()
    }

    pub(crate) fn kexinit_for_test(&mut self) -> Vec<u8> {
        self.offer
            .kexinit(self.role, false, &mut *self.primitives)
            .unwrap()
    }

    pub(crate) fn sealer_for_test(&mut self, sealer: Sealer) {
        self.sealer = sealer;
    }

    /// Changes the KEXINIT that was sent, which is also the one that is hashed.
    pub(crate) fn change_kexinit_for_test(&mut self, change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let Phase::AwaitKexInit { ours } = &mut self.phase else {
            panic!("no KEXINIT was sent")
        };
        change(ours);
        ours.clone()
    }

    pub(crate) fn phase_for_test(&self) -> &Phase {
        &self.phase
    }

    pub(crate) fn forget_strict_for_test(&mut self) {
        self.is_strict = false;
    }
}
