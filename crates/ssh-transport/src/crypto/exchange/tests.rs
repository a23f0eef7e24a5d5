//! Known answers, and the same exchanges with other implementations at the other end.

use alloc::string::String;
use alloc::vec;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::kem;
use crypto_bigint::BoxedUint;
use crypto_bigint::modular::{BoxedMontyForm, BoxedMontyParams};
use p256::elliptic_curve::sec1::ToSec1Point as _;
use x25519_dalek::StaticSecret;

use super::finite_field::{DhKey, Group, GroupRequest};
use super::groups::{MODP_2048, MODP_3072, MODP_4096};
use super::hybrid::{MLKEM768_CIPHERTEXT_BYTES, MLKEM768_PUBLIC_BYTES, combine};
use super::*;
use crate::crypto::Provider;
use crate::wire::Reader;

const PROVIDERS: [Provider; 2] = [Provider::Seeded, Provider::AwsLc];

fn hex(text: &str) -> Vec<u8> {
    (0..text.len() / 2)
        .map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap())
        .collect()
}

fn mpint(magnitude: &[u8]) -> Vec<u8> {
    SharedSecret::mpint(magnitude).wire_bytes().to_vec()
}

/// The bytes of the `mpint`.
fn body(magnitude: &[u8]) -> Vec<u8> {
    mpint(magnitude)[4..].to_vec()
}

#[test]
fn curves_give_the_points_and_secrets_of_their_rfcs() {
    // RFC 7748 section 6.1, RFC 5903 sections 8.1 to 8.3: private key, public key, the peer's, secret.
    let vectors = [
        (
            Curve::X25519,
            "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a",
            "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a",
            "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f",
            "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742",
        ),
        (
            Curve::P256,
            "c88f01f510d9ac3f70a292daa2316de544e9aab8afe84049c62a9c57862d1433",
            concat!(
                "04",
                "dad0b65394221cf9b051e1feca5787d098dfe637fc90b9ef945d0c3772581180",
                "5271a0461cdb8252d61f1c456fa3e59ab1f45b33accf5f58389e0577b8990bb3",
            ),
            concat!(
                "04",
                "d12dfb5289c8d4f81208b70270398c342296970a0bccb74c736fc7554494bf63",
                "56fbf3ca366cc23e8157854c13c58d6aac23f046ada30f8353e74f33039872ab",
            ),
            "d6840f6b42f6edafd13116e0e12565202fef8e9ece7dce03812464d04b9442de",
        ),
        (
            Curve::P384,
            concat!(
                "099f3c7034d4a2c699884d73a375a67f7624ef7c6b3c0f160647b67414dce655",
                "e35b538041e649ee3faef896783ab194",
            ),
            concat!(
                "04",
                "667842d7d180ac2cde6f74f37551f55755c7645c20ef73e31634fe72b4c55ee6",
                "de3ac808acb4bdb4c88732aee95f41aa",
                "9482ed1fc0eeb9cafc4984625ccfc23f65032149e0e144ada024181535a0f38e",
                "eb9fcff3c2c947dae69b4c634573a81c",
            ),
            concat!(
                "04",
                "e558dbef53eecde3d3fccfc1aea08a89a987475d12fd950d83cfa41732bc509d",
                "0d1ac43a0336def96fda41d0774a3571",
                "dcfbec7aacf3196472169e838430367f66eebe3c6e70c416dd5f0c68759dd1ff",
                "f83fa40142209dff5eaad96db9e6386c",
            ),
            concat!(
                "11187331c279962d93d604243fd592cb9d0a926f422e47187521287e7156c5c4",
                "d603135569b9e9d09cf5d4a270f59746",
            ),
        ),
        (
            Curve::P521,
            concat!(
                "0037ade9319a89f4dabdb3ef411aaccca5123c61acab57b5393dce47608172a0",
                "95aa85a30fe1c2952c6771d937ba9777f5957b2639bab072462f68c27a57382d",
                "4a52",
            ),
            concat!(
                "04",
                "0015417e84dbf28c0ad3c278713349dc7df153c897a1891bd98bab4357c9ecbe",
                "e1e3bf42e00b8e380aeae57c2d107564941885942af5a7f4601723c4195d176c",
                "ed3e",
                "017cae20b6641d2eeb695786d8c946146239d099e18e1d5a514c739d7cb4a10a",
                "d8a788015ac405d7799dc75e7b7d5b6cf2261a6a7f1507438bf01beb6ca3926f",
                "9582",
            ),
            concat!(
                "04",
                "00d0b3975ac4b799f5bea16d5e13e9af971d5e9b984c9f39728b5e5739735a21",
                "9b97c356436adc6e95bb0352f6be64a6c2912d4ef2d0433ced2b6171640012d9",
                "460f",
                "015c68226383956e3bd066e797b623c27ce0eac2f551a10c2c724d9852077b87",
                "220b6536c5c408a1d2aebb8e86d678ae49cb57091f4732296579ab44fcd17f0f",
                "c56a",
            ),
            concat!(
                "01144c7d79ae6956bc8edb8e7c787c4521cb086fa64407f97894e5e6b2d79b04",
                "d1427e73ca4baa240a34786859810c06b3c715a3a8cc3151f2bee417996d19f3",
                "ddea",
            ),
        ),
    ];
    for (curve, private, public, peer, secret) in vectors {
        let key = EcdhKey::from_private(curve, &hex(private)).unwrap();
        let ephemeral = Ephemeral::Ecdh(key);
        assert_eq!(ephemeral.public().unwrap(), hex(public), "{curve:?}");
        let agreed = ephemeral.agree(&hex(peer)).unwrap();
        assert_eq!(agreed.wire_bytes(), mpint(&hex(secret)), "{curve:?}");
    }
}

#[test]
fn both_sides_get_the_same_secret_by_every_method_and_provider() {
    for algorithm in KexAlgorithm::ALL {
        let method = Method::of(algorithm);
        for provider in PROVIDERS {
            let mut client = provider.primitives([1; 32]);
            let mut server = Provider::Seeded.primitives([2; 32]);
            if method == Method::GroupExchange {
                continue;
            }
            let ephemeral = Ephemeral::generate(method, &mut *client).unwrap().unwrap();
            let init = ephemeral.public().unwrap();
            let (reply, secret) = respond(method, &init, &mut *server).unwrap();
            let agreed = ephemeral.agree(&reply).unwrap();
            assert_eq!(agreed.wire_bytes(), secret.wire_bytes(), "{algorithm:?}");

            let ephemeral = Ephemeral::generate(method, &mut *server).unwrap().unwrap();
            let init = ephemeral.public().unwrap();
            let (reply, secret) = respond(method, &init, &mut *client).unwrap();
            let agreed = ephemeral.agree(&reply).unwrap();
            assert_eq!(agreed.wire_bytes(), secret.wire_bytes(), "{algorithm:?}");
        }
    }
}

#[test]
fn equal_seeds_make_equal_keys_and_the_library_makes_others() {
    for algorithm in KexAlgorithm::ALL {
        let method = Method::of(algorithm);
        let public = |provider: Provider| {
            let key = Ephemeral::generate(method, &mut *provider.primitives([7; 32])).unwrap();
            key.map(|key| key.public().unwrap())
        };
        assert_eq!(public(Provider::Seeded), public(Provider::Seeded));
        if method != Method::GroupExchange {
            assert_ne!(public(Provider::Seeded), public(Provider::AwsLc));
            assert_ne!(public(Provider::AwsLc), public(Provider::AwsLc));
        }
    }
}

#[test]
fn curves_agree_with_other_implementations() {
    let mut primitives = Provider::Seeded.primitives([5; 32]);
    let theirs = StaticSecret::from([8; 32]);
    let ours = primitives.ecdh_key(Curve::X25519).unwrap();
    let point: [u8; 32] = ours.public().unwrap().try_into().unwrap();
    let their_point = x25519_dalek::PublicKey::from(&theirs);
    let secret = ours.agree(their_point.as_bytes(), <[u8]>::to_vec).unwrap();
    assert_eq!(secret, theirs.diffie_hellman(&point.into()).as_bytes());

    let theirs = p256::SecretKey::from_slice(&[9; 32]).unwrap();
    let ours = primitives.ecdh_key(Curve::P256).unwrap();
    let point = p256::PublicKey::from_sec1_bytes(&ours.public().unwrap()).unwrap();
    let their_point = theirs.public_key().to_sec1_point(false);
    let secret = ours.agree(their_point.as_bytes(), <[u8]>::to_vec).unwrap();
    let expected = p256::ecdh::diffie_hellman(theirs.to_nonzero_scalar(), point.as_affine());
    assert_eq!(secret, expected.raw_secret_bytes().as_slice());
}

#[test]
fn ml_kem_agrees_with_another_implementation_in_both_roles() {
    // AWS-LC's ML-KEM on the other side, another X25519.
    let mut primitives = Provider::Seeded.primitives([5; 32]);
    let x = StaticSecret::from([8; 32]);
    let x_public = x25519_dalek::PublicKey::from(&x).to_bytes();
    let classical = |point: &[u8]| {
        let point: [u8; 32] = point.try_into().unwrap();
        x.diffie_hellman(&point.into()).to_bytes()
    };

    let ours = Ephemeral::generate(Method::Hybrid, &mut *primitives);
    let ours = ours.unwrap().unwrap();
    let public = ours.public().unwrap();
    let (mlkem, point) = public.split_at(MLKEM768_PUBLIC_BYTES);
    let theirs = kem::EncapsulationKey::new(&kem::ML_KEM_768, mlkem).unwrap();
    let (ciphertext, post_quantum) = theirs.encapsulate().unwrap();
    let reply = [ciphertext.as_ref(), &x_public].concat();
    let expected = combine(post_quantum.as_ref(), &classical(point));
    assert_eq!(
        ours.agree(&reply).unwrap().wire_bytes(),
        expected.wire_bytes()
    );

    let theirs = kem::DecapsulationKey::generate(&kem::ML_KEM_768).unwrap();
    let key = theirs.encapsulation_key().unwrap();
    let init = [key.key_bytes().unwrap().as_ref(), &x_public].concat();
    let (reply, secret) = respond(Method::Hybrid, &init, &mut *primitives).unwrap();
    let (ciphertext, point) = reply.split_at(MLKEM768_CIPHERTEXT_BYTES);
    let post_quantum = theirs.decapsulate(ciphertext.into()).unwrap();
    let expected = combine(post_quantum.as_ref(), &classical(point));
    assert_eq!(secret.wire_bytes(), expected.wire_bytes());
}

#[test]
fn an_encapsulation_key_that_is_not_reduced_is_refused() {
    // FIPS 203 section 7.2: a coefficient of 4095 is no residue modulo 3329.
    for provider in PROVIDERS {
        let mut primitives = provider.primitives([5; 32]);
        let key = Ephemeral::generate(Method::Hybrid, &mut *primitives);
        let mut init = key.unwrap().unwrap().public().unwrap();
        init[..3].fill(0xff);
        assert!(respond(Method::Hybrid, &init, &mut *primitives).is_err());
    }
}

#[test]
fn points_off_the_curve_of_low_order_or_of_another_form_are_refused() {
    let mut primitives = Provider::Seeded.primitives([5; 32]);
    // RFC 7748 section 6.1: what gives zero. 0, 1, and a point of order 8.
    let order_8 = hex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800");
    let mut one = [0; 32];
    one[0] = 1;
    for point in [&[0; 32][..], &one, &order_8, &[9; 31], &[9; 33], &[]] {
        assert!(respond(Method::Ecdh(Curve::X25519), point, &mut *primitives).is_err());
        let key = primitives.ecdh_key(Curve::X25519).unwrap();
        assert!(key.agree(point, <[u8]>::len).is_err());
    }
    for curve in [Curve::P256, Curve::P384, Curve::P521] {
        let method = Method::Ecdh(curve);
        let good = primitives.ecdh_key(curve).unwrap().public().unwrap();
        assert!(respond(method, &good, &mut *primitives).is_ok());
        let mut off = good.clone();
        off[curve.public_bytes() - 1] ^= 1;
        let mut compressed = good[..=curve.private_bytes()].to_vec();
        compressed[0] = 2 + (good[good.len() - 1] & 1);
        let mut hybrid = good.clone();
        hybrid[0] = 6 + (good[good.len() - 1] & 1);
        let longer = [&good[..], &[0]].concat();
        let zero = [&[4][..], &vec![0; good.len() - 1]].concat();
        for bad in [
            &off,
            &compressed,
            &hybrid,
            &longer,
            &zero,
            &vec![0],
            &vec![],
        ] {
            assert!(respond(method, bad, &mut *primitives).is_err(), "{curve:?}");
        }
    }
}

/// Miller and Rabin's test to bases 2 and 3: enough for numbers that are not made to deceive it.
fn is_probably_prime(odd: &BoxedUint) -> bool {
    let params = BoxedMontyParams::new_vartime(odd.clone().into_odd().unwrap());
    let one = BoxedUint::one_with_precision(odd.bits_precision());
    let minus_one = odd.wrapping_sub(&one);
    let twos = minus_one.trailing_zeros_vartime();
    let exponent = minus_one.shr(twos);
    [2, 3].into_iter().all(|base| {
        let base = BoxedUint::from_be_slice(&[base], odd.bits_precision()).unwrap();
        let mut power = BoxedMontyForm::new(base, &params).pow(&exponent);
        (0..twos).any(|i| {
            let value = power.retrieve();
            power = power.square();
            value == minus_one || (i == 0 && value == one)
        })
    })
}

#[test]
fn the_groups_of_rfc_3526_are_known_safe_primes() {
    // SHA-256 of the primes as Python makes them from the formula and the digits of pi in RFC 3526.
    let groups = [
        (
            MODP_2048,
            2048,
            "d66436f79bbd6b2e38c0ffbd079be904d2641415e2e67140e09448be9a60890e",
        ),
        (
            MODP_3072,
            3072,
            "48cf8b092fbce4359d9871abf74f98e25b6163379eaa15cd9087e800c6d1c55c",
        ),
        (
            MODP_4096,
            4096,
            "4ee95187682bcb230ad26a95205f6920e84708f6251b3894329b09ec23919e33",
        ),
    ];
    for (text, bits, hash) in groups {
        assert_eq!(digest(&SHA256, &hex(text)).as_ref(), hex(hash));
        let prime = BoxedUint::from_be_hex(text, bits).unwrap();
        assert_eq!(prime.bits(), bits);
        assert!(is_probably_prime(&prime));
        assert!(is_probably_prime(&prime.shr(1)));
    }
    let composite = BoxedUint::from_be_slice_vartime(&[0x0f; 64]);
    assert!(!is_probably_prime(&composite));
}

#[test]
fn finite_fields_give_the_numbers_of_another_implementation() {
    // pow(2, x, p), pow(y, x, p) of Python for x = 0x0123456789abcdef repeated to 80 bytes and y = 2^(2^11 - 9) + 5, hashed.
    let exponent = hex(&"0123456789abcdef".repeat(10));
    let mut peer = vec![0; 255];
    peer[0] = 0x80;
    peer[254] = 5;
    let vectors = [
        (
            Group::modp_2048(),
            "68ade73b0625dfdf37c4e7b05ab8db3bfb69226422aadd6129b845044035e460",
            "b782467a37f03e6e2fbe2de8c26dc733de60b40ae1811d127c4c8ac05cab4b16",
        ),
        (
            Group::modp_4096(),
            "44b4345c2b0732dbcc89029e2891c363a929ba2ea03522641520dadca6f46c00",
            "384c324634882909fa8c8d8c5a3492bcbbd1f39dc6b34b23157e4a3bcb3c842f",
        ),
    ];
    for (group, public, secret) in vectors {
        let key = DhKey::new(group.unwrap(), &exponent);
        assert_eq!(digest(&SHA256, &key.public()).as_ref(), hex(public));
        let agreed = key.agree(&body(&peer)).unwrap();
        let hash = digest(&SHA256, agreed.wire_bytes());
        assert_eq!(hash.as_ref(), hex(secret));
    }
}

#[test]
fn public_values_outside_the_group_are_refused() {
    let prime = hex(MODP_2048);
    let mut minus_one = prime.clone();
    minus_one[255] -= 1;
    let mut minus_two = prime.clone();
    minus_two[255] -= 2;
    let key = DhKey::new(Group::modp_2048().unwrap(), &[3; 80]);
    for good in [&body(&[2]), &body(&minus_two)] {
        assert!(key.agree(good).is_ok());
    }
    let larger = body(&[0xff; 256]);
    let longer = body(&[1; 257]);
    let padded = [&[0][..], &body(&[2])].concat();
    for bad in [
        &body(&[0])[..],
        &[0],
        &body(&[1]),
        &body(&minus_one),
        &body(&prime),
        &larger,
        &longer,
        &padded,
        &[0x80],
    ] {
        assert!(key.agree(bad).is_err());
        let mut primitives = Provider::Seeded.primitives([5; 32]);
        assert!(respond(Method::Group14, bad, &mut *primitives).is_err());
    }
}

#[test]
fn a_server_chooses_the_smallest_group_that_is_preferred_and_fits() {
    let choose = |min: u32, preferred: u32, max: u32| {
        let mut message = Vec::new();
        for bits in [min, preferred, max] {
            message.put_word(bits);
        }
        let request = GroupRequest::read(&mut Reader::new(&message)).unwrap();
        request.choose().unwrap().map(|group| {
            let mut wire = Vec::new();
            group.write(&mut wire);
            let prime = Reader::new(&wire).positive_mpint().unwrap();
            prime.len() * 8
        })
    };
    assert_eq!(choose(2048, 3072, 8192), Some(3072));
    assert_eq!(choose(1024, 1024, 8192), Some(2048));
    assert_eq!(choose(2048, 2049, 8192), Some(3072));
    assert_eq!(choose(2048, 8192, 8192), Some(4096));
    assert_eq!(choose(2048, 8192, 3500), Some(3072));
    assert_eq!(choose(1024, 1536, 2047), None);
    assert_eq!(choose(8192, 8192, 8192), None);
    assert_eq!(choose(u32::MAX, 0, 0), None);
}

#[test]
fn a_client_refuses_groups_that_are_too_small_too_large_or_none() {
    let prime = body(&hex(MODP_2048));
    assert!(Group::of_server(&prime, &[2]).is_ok());
    assert!(Group::of_server(&body(&hex(&("c0".repeat(1023) + "01"))), &[2]).is_ok());
    let minus_one = {
        let mut bytes = hex(MODP_2048);
        bytes[255] -= 1;
        body(&bytes)
    };
    let small = body(&hex(&(String::from("7f") + &"ff".repeat(255))));
    let large = body(&[0xff; 1025]);
    for (bad_prime, generator) in [
        (&small, &[2][..]),
        (&large, &[2]),
        // Even.
        (&minus_one, &[2]),
        (&prime, &[1]),
        (&prime, &[0]),
        (&prime, &[]),
        (&prime, &prime),
        (&prime, &minus_one),
        (&vec![], &[2]),
        (&vec![0x80; 256], &[2]),
    ] {
        assert!(Group::of_server(bad_prime, generator).is_err());
    }
}
