#!/usr/bin/env python3
"""Holds the CDDL of SPEC.md against the testkit, by a validator that nobody here wrote (pycddl).

    cddl.py SPEC.md TESTKIT

Everything of CBOR in a log that reads as intact, and in a sidecar or proof that is good, is what the CDDL says; and what the kit has malformed is not.
"""

import json
import os
import re
import struct
import sys

import pycddl

import dcbor
import sslg
from beside import parse_proof, parse_sidecar

# Logs in which one thing is malformed, as far as CDDL, and this validator, can say (it does not count the entries of a list).
REFUSED = {
    "core": ["core-content-limit", "core-critical", "core-key-missing", "core-log-id-short", "core-remarks-no-map", "core-state-unknown"],
    "wraps": ["wraps-long-key-id", "wraps-no-array", "wraps-none"],
}


class Rules:
    def __init__(self, spec):
        with open(spec, encoding="utf-8") as file:
            self.text = "\n".join(re.findall(r"```cddl\n(.*?)```", file.read(), re.DOTALL))
        self.schemas, self.counts = {}, {}

    def accepts(self, rule, data):
        if rule not in self.schemas:
            self.schemas[rule] = pycddl.Schema(f"start = {rule}\n{self.text}")
        try:
            self.schemas[rule].validate_cbor(data)
            return True
        except pycddl.ValidationError:
            return False

    def expect(self, name, rule, data):
        if not self.accepts(rule, data):
            sys.exit(f"{name}: the CDDL refuses its {rule}")
        self.counts[rule] = self.counts.get(rule, 0) + 1


class Collector(sslg.Reader):
    """Reads a log and keeps its CBOR."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.items = []

    def read_header(self):
        start = self.at
        super().read_header()
        self.items += headers(self.log[start:self.at])

    def check_attestation(self, body):
        super().check_attestation(body)
        self.items.append(("attestation", body))

    def take_content(self, kind, t_us, content):
        super().take_content(kind, t_us, content)
        if kind in (sslg.INDEX, sslg.SUMMARY):
            self.items.append(("index" if kind == sslg.INDEX else "summary", content))
            return
        at = 0
        while at < len(content):
            start = at
            fields, at = dcbor.array_head(content, at)
            for _ in range(fields):
                _, at = dcbor.item(content, at)
            self.items.append(("record", content[start:at]))


def headers(header):
    core_len, wraps_len = struct.unpack(">II", header[12:20])
    return [("core", header[20:20 + core_len]), ("wraps", header[20 + core_len:20 + core_len + wraps_len])]


def load(kit, name):
    with open(os.path.join(kit, name), "rb") as file:
        return file.read()


def main(spec, kit):
    rules = Rules(spec)
    identities, signers = sslg.keys_of(kit)
    for name, verdict in json.loads(load(kit, "verdicts.json")).items():
        if verdict["integrity"] == "intact":
            log = Collector(load(kit, name + ".sslg"), identities, signers)
            log.read()
            for rule, data in log.items:
                rules.expect(name, rule, data)
    for name, verdict in json.loads(load(kit, "beside.json")).items():
        if verdict.get("fault") is not None:
            continue
        data = load(kit, name)
        if name.endswith(".proof"):
            parse_proof(data)
            rules.expect(name, "proof", data)
        else:
            parse_sidecar(data, sslg.parse_wraps)
            rules.expect(name, "sidecar", data[16:16 + struct.unpack(">I", data[12:16])[0]])
    for rule, names in REFUSED.items():
        for name in names:
            if rules.accepts(rule, dict(headers(load(kit, name + ".sslg")))[rule]):
                sys.exit(f"{name}: the CDDL takes its {rule}")
    wanted = {"core", "wraps", "attestation", "index", "summary", "record", "sidecar", "proof"}
    if set(rules.counts) != wanted:
        sys.exit(f"never seen: {wanted - set(rules.counts)}")
    print(", ".join(f"{count} {rule}" for rule, count in sorted(rules.counts.items())))


if __name__ == "__main__":
    main(*sys.argv[1:])
