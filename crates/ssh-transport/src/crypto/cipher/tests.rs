//! Known answers, and every suite both ways.

use alloc::vec;
use alloc::vec::Vec;

use super::*;

fn hex(text: &str) -> Vec<u8> {
    (0..text.len() / 2)
        .map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap())
        .collect()
}

/// A length field and as many bytes, which count up from `first`.
fn packet(length: u8, first: u8) -> Vec<u8> {
    let mut packet = vec![0, 0, 0, length];
    packet.extend((0..length).map(|i| first.wrapping_add(i)));
    packet
}

fn counting(len: usize) -> Vec<u8> {
    (0..len).map(|i| i.to_le_bytes()[0]).collect()
}

fn suites() -> impl Iterator<Item = Suite> {
    CipherAlgorithm::ALL.into_iter().flat_map(|cipher| {
        let macs = if cipher.is_authenticated() {
            vec![None]
        } else {
            MacAlgorithm::ALL.map(Some).to_vec()
        };
        macs.into_iter().map(move |mac| Suite { cipher, mac })
    })
}

fn keys_of(suite: Suite) -> (SealKey, OpenKey) {
    let sizes = suite.key_sizes();
    let (iv, key, mac_key) = (
        counting(sizes.iv),
        counting(sizes.key),
        counting(sizes.mac_key),
    );
    let keys = Keys {
        iv: &iv,
        key: &key,
        mac_key: &mac_key,
    };
    (
        SealKey::new(suite, &keys).unwrap(),
        OpenKey::new(suite, &keys).unwrap(),
    )
}

fn seal(key: &mut SealKey, sequence: u32, packet: &[u8]) -> Vec<u8> {
    let mut sealed = packet.to_vec();
    let mut tag = vec![0; key.suite().tag_bytes()];
    key.seal(sequence, &mut sealed, &mut tag).unwrap();
    sealed.extend(tag);
    sealed
}

fn open(key: &mut OpenKey, sequence: u32, sealed: &[u8]) -> Result<Vec<u8>, NotAuthentic> {
    let mut sealed = sealed.to_vec();
    let length = key.packet_length(sequence, &sealed).unwrap();
    if length.is_none_or(|l| l as usize + LENGTH_BYTES + key.suite().tag_bytes() != sealed.len()) {
        return Err(NotAuthentic);
    }
    let tag = sealed.split_off(sealed.len() - key.suite().tag_bytes());
    key.open(sequence, &mut sealed, &tag)?;
    sealed[..4].fill(0);
    sealed[3] = u8::try_from(sealed.len() - 4).unwrap();
    Ok(sealed)
}

#[test]
fn gcm_seals_as_another_implementation_and_its_nonce_wraps() {
    // AESGCM of Python's cryptography over packets of 32 bytes; fixed field a0a1a2a3, counter 2^64 - 1 and then 0.
    let vectors = [
        (
            CipherAlgorithm::Aes128Gcm,
            16,
            [
                concat!(
                    "00000020d03270445ac320c6b881be004651142adb00e215e8ee433c9990309106d65ecbe74f81a6d23c5e6841bad9a4",
                    "9ca0aa2a",
                ),
                concat!(
                    "000000208b5fcd99428933675acc212f7cc474b07d9ac6e30676b46d66a237b4e9709d4f398de0997d3869498f48ea46",
                    "3d6f342e",
                ),
            ],
        ),
        (
            CipherAlgorithm::Aes256Gcm,
            32,
            [
                concat!(
                    "00000020a4bec04cf82a752a125719572710d47586e9465bbef534eb2c451e4a39ff7fddef02352e9fdf5e1f5cab719f",
                    "cc5b44f3",
                ),
                concat!(
                    "000000201dbb5f322662b2b4b031b03f5cd46acb83820e51ec5b820d7a2fde282644557c07b6dd42da1376f18b458f7a",
                    "c84dd1ce",
                ),
            ],
        ),
    ];
    for (cipher, key_bytes, sealed) in vectors {
        let key = counting(key_bytes);
        let iv = hex("a0a1a2a3ffffffffffffffff");
        let keys = Keys {
            iv: &iv,
            key: &key,
            mac_key: &[],
        };
        let suite = Suite { cipher, mac: None };
        let mut sealing = SealKey::new(suite, &keys).unwrap();
        let mut opening = OpenKey::new(suite, &keys).unwrap();
        for (i, expected) in (0..).zip(sealed) {
            let plain = packet(32, i);
            assert_eq!(seal(&mut sealing, 0, &plain), hex(expected));
            assert_eq!(open(&mut opening, 0, &hex(expected)), Ok(plain));
        }
    }
}

#[test]
fn chacha_seals_as_another_implementation() {
    // OpenSSH's construction from ChaCha20 and Poly1305 of Python's cryptography, over packets of 24 bytes.
    let vectors = [
        (
            7,
            "a39afcb22f4e1c49458f2750637daae2c49bc63a23aa292c65ff209d16968b30d92f32d8599ff8e48a7b050e",
        ),
        (
            u32::MAX,
            "b90ee4a8f6920d99ad00d1e4913ea2b8798a0fa019aa2804dc3bce6ed788d24c25bf863ab4c746ae3649e9d9",
        ),
    ];
    let suite = Suite {
        cipher: CipherAlgorithm::ChaCha20Poly1305,
        mac: None,
    };
    for (sequence, expected) in vectors {
        let (mut sealing, mut opening) = keys_of(suite);
        let plain = packet(24, sequence.to_be_bytes()[3]);
        assert_eq!(seal(&mut sealing, sequence, &plain), hex(expected));
        assert_eq!(open(&mut opening, sequence, &hex(expected)), Ok(plain));
    }
}

#[test]
fn counter_mode_gives_the_blocks_of_sp_800_38a() {
    // NIST SP 800-38A appendices F.5.1, F.5.3 and F.5.5.
    let counter = hex("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff");
    let plain = hex(concat!(
        "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51",
        "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710",
    ));
    let vectors = [
        (
            CipherAlgorithm::Aes128Ctr,
            "2b7e151628aed2a6abf7158809cf4f3c",
            concat!(
                "874d6191b620e3261bef6864990db6ce9806f66b7970fdff8617187bb9fffdff",
                "5ae4df3edbd5d35e5b4f09020db03eab1e031dda2fbe03d1792170a0f3009cee",
            ),
        ),
        (
            CipherAlgorithm::Aes192Ctr,
            "8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b",
            concat!(
                "1abc932417521ca24f2b0459fe7e6e0b090339ec0aa6faefd5ccc2c6f4ce8e94",
                "1e36b26bd1ebc670d1bd1d665620abf74f78a7f6d29809585a97daec58c6b050",
            ),
        ),
        (
            CipherAlgorithm::Aes256Ctr,
            "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4",
            concat!(
                "601ec313775789a5b7a7f504bbf3d228f443e3ca4d62b59aca84e990cacaf5c5",
                "2b0930daa23de94ce87017ba2d84988ddfc9c58db67aada613c2dd08457941a6",
            ),
        ),
    ];
    for (cipher, key, expected) in vectors {
        let key = hex(key);
        let keys = Keys {
            iv: &counter,
            key: &key,
            mac_key: &[0; 32],
        };
        // Over the encrypted packet the length stays out of the stream, over the plain one it is its front.
        let mut etm = SealKey::new(
            Suite {
                cipher,
                mac: Some(MacAlgorithm::HmacSha256Etm),
            },
            &keys,
        )
        .unwrap();
        let sealed = seal(&mut etm, 0, &[&[0, 0, 0, 64], &plain[..]].concat());
        assert_eq!(sealed[..4], [0, 0, 0, 64]);
        assert_eq!(sealed[4..68], hex(expected));
        let mut plain_mac = SealKey::new(
            Suite {
                cipher,
                mac: Some(MacAlgorithm::HmacSha256),
            },
            &keys,
        )
        .unwrap();
        let sealed = seal(&mut plain_mac, 0, &plain);
        assert_eq!(sealed[..64], hex(expected));
    }
}

#[test]
fn macs_give_the_tags_of_rfc_4231() {
    // RFC 4231 sections 4.4 and 4.7: the sequence number is the first four bytes of the data.
    let ctr = |mac, mac_key: &[u8]| {
        let keys = Keys {
            iv: &[0; 16],
            key: &[0; 16],
            mac_key,
        };
        Ctr::new(mac, &keys).unwrap()
    };
    let (sha_256, sha_512) = (MacAlgorithm::HmacSha256, MacAlgorithm::HmacSha512Etm);
    assert_eq!(
        ctr(sha_256, &[0xaa; 20])
            .tag(0xdddd_dddd, &[0xdd; 46])
            .as_ref(),
        hex("773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe")
    );
    assert_eq!(
        ctr(sha_512, &[0xaa; 20])
            .tag(0xdddd_dddd, &[0xdd; 46])
            .as_ref(),
        hex(concat!(
            "fa73b0089d56a284efb0f0756c890be9b1b5dbdd8ee81a3655f83e33b2279d39",
            "bf3e848279a722c806b485a47e67c807b946a337bee8942674278859e13292fb",
        ))
    );
    let text = b"Test Using Larger Than Block-Size Key - Hash Key First";
    let sequence = u32::from_be_bytes(*b"Test");
    assert_eq!(
        ctr(sha_256, &[0xaa; 131])
            .tag(sequence, &text[4..])
            .as_ref(),
        hex("60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54")
    );
    assert_eq!(
        ctr(sha_512, &[0xaa; 131])
            .tag(sequence, &text[4..])
            .as_ref(),
        hex(concat!(
            "80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f352",
            "6b56d037e05f2598bd0fd2215d6a1e5295e64f73f63f0aec8b915a985d786598",
        ))
    );
}

#[test]
fn every_suite_opens_what_it_sealed_in_order_and_no_flipped_bit() {
    for suite in suites() {
        let sealed: Vec<_> = {
            let (mut sealing, _) = keys_of(suite);
            (0..5)
                .map(|i| seal(&mut sealing, i, &padded(suite, i)))
                .collect()
        };
        let (_, mut opening) = keys_of(suite);
        for (i, packet) in (0..).zip(&sealed) {
            assert_eq!(open(&mut opening, i, packet), Ok(padded(suite, i)));
        }
        for bit in 0..sealed[0].len() * 8 {
            let mut changed = sealed[0].clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let (_, mut opening) = keys_of(suite);
            assert_eq!(
                open(&mut opening, 0, &changed),
                Err(NotAuthentic),
                "{suite:?}"
            );
        }
        // Another one, the same again, and one under another number.
        let (_, mut opening) = keys_of(suite);
        assert_eq!(
            open(&mut opening, 0, &sealed[1]),
            Err(NotAuthentic),
            "{suite:?}"
        );
        let (_, mut opening) = keys_of(suite);
        assert!(open(&mut opening, 0, &sealed[0]).is_ok());
        assert_eq!(
            open(&mut opening, 1, &sealed[0]),
            Err(NotAuthentic),
            "{suite:?}"
        );
        if suite.cipher != CipherAlgorithm::Aes128Gcm && suite.cipher != CipherAlgorithm::Aes256Gcm
        {
            let (_, mut opening) = keys_of(suite);
            assert_eq!(
                open(&mut opening, 1, &sealed[0]),
                Err(NotAuthentic),
                "{suite:?}"
            );
        }
    }
}

/// A packet as long as the suite wants it.
fn padded(suite: Suite, first: u32) -> Vec<u8> {
    let length = if suite.unpadded_bytes() == 0 { 44 } else { 48 };
    packet(length, u8::try_from(first).unwrap())
}

#[test]
fn a_length_that_was_decrypted_once_stays_the_same_and_the_input_is_untouched() {
    for suite in suites() {
        let (mut sealing, mut opening) = keys_of(suite);
        let plain = padded(suite, 0);
        let sealed = seal(&mut sealing, 0, &plain);
        for len in 0..sealed.len() {
            let length = opening.packet_length(0, &sealed[..len]).unwrap();
            assert!(length.is_none_or(|l| l == u32::from(plain[3])), "{suite:?}");
        }
        assert_eq!(open(&mut opening, 0, &sealed), Ok(plain));
    }
}

#[test]
fn long_packets_pass_whole_through_every_suite() {
    for suite in suites() {
        let (mut sealing, mut opening) = keys_of(suite);
        for sequence in 0..3 {
            let length: u32 = if suite.unpadded_bytes() == 0 {
                199_996
            } else {
                200_000
            };
            let mut plain = length.to_be_bytes().to_vec();
            plain.extend(counting(length as usize));
            let mut sealed = seal(&mut sealing, sequence, &plain);
            assert_eq!(opening.packet_length(sequence, &sealed), Ok(Some(length)));
            let tag = sealed.split_off(plain.len());
            assert_eq!(
                opening.open(sequence, &mut sealed, &tag),
                Ok(()),
                "{suite:?}"
            );
            assert_eq!(sealed[4..], plain[4..]);
        }
    }
}
