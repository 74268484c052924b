"""How vendors prove that a webhook is theirs; each scheme checks the raw bytes, in constant time."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Literal, Protocol
from urllib.parse import parse_qs, parse_qsl, urlsplit

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from include.connect.errors import FixCredentials

USUAL = timedelta(minutes=5)
_ECDSA = ec.ECDSA(Prehashed(SHA256()))


@dataclass(slots=True)
class Delivery:
    """One request as it arrived.

    Args:
        method: of the request.
        url: as the vendor called it, query string included.
        headers: names in lower case.
        body: the raw bytes.
        certificate: PEM of the signer, for schemes that name one in the body.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes
    certificate: bytes = b""


class Refused(Exception):
    """A request that is not taken: an HTTP status and a reason that holds nothing about a person."""

    def __init__(self, status: int, reason: str, headers: Sequence[tuple[bytes, bytes]] = ()) -> None:
        self.status = status
        self.reason = reason
        self.headers = headers
        super().__init__(status, reason)


class Signature(Protocol):
    """A scheme: `tolerance` bounds the age of a signed time, `is_resigned` says that a retry has a new signature."""

    @property
    def tolerance(self) -> timedelta | None:
        """Greatest age of a signed time."""
        ...

    @property
    def is_resigned(self) -> bool:
        """Whether the same signature twice is a replay."""
        ...

    def verify(self, delivery: Delivery, secrets: Sequence[str], now: float) -> bytes:
        """A digest of what was signed, to know it again; empty where nothing is.

        Raises:
            Refused: 401, unsigned, signed by somebody else, or too long ago.
        """
        ...


@dataclass(frozen=True, slots=True)
class HmacSignature:
    """A keyed hash.

    Args:
        header: where the signature is; `t=..,v1=..` in one header when `timestamp` is "t".
        signs: what is hashed: `{timestamp}`, `{method}`, `{url}`, `{body}`, `{form}` (its fields, sorted).
        digest: hash function.
        encoding: how the hash is written.
        timestamp: "t", or the header that holds the signed time; None where no time is signed.
        milliseconds: whether that time is in milliseconds.
        tolerance: greatest distance of the signed time from ours.
        is_resigned: whether the vendor signs each retry anew, so that the same signature twice is a replay.
    """

    header: str
    signs: str = "{body}"
    digest: Literal["sha1", "sha256"] = "sha256"
    encoding: Literal["hex", "base64"] = "hex"
    timestamp: str | None = None
    milliseconds: bool = False
    tolerance: timedelta | None = USUAL
    is_resigned: bool = False

    def verify(self, delivery: Delivery, secrets: Sequence[str], now: float) -> bytes:
        """Compare with what each secret gives; see `Signature`."""
        sent = delivery.headers.get(self.header, "")
        if not sent:
            raise Refused(401, f"not signed: no {self.header}")
        time, found = "", [sent]
        if self.timestamp == "t":
            pairs = [part.strip().partition("=") for part in sent.split(",")]
            time = next((value for name, _, value in pairs if name == "t"), "")
            found = [value for name, _, value in pairs if name == "v1"]
        elif self.timestamp is not None:
            time = delivery.headers.get(self.timestamp, "")
        signed = self._signed(delivery, time)
        proof = b""
        for secret in secrets:
            hashed = hmac.digest(secret.encode(), signed, self.digest)
            wanted = hashed.hex() if self.encoding == "hex" else base64.b64encode(hashed).decode()
            for one in found:
                if hmac.compare_digest(wanted.encode(), one.encode("utf-8", "replace")):
                    proof = hashed
        if not proof:
            raise Refused(401, "the signature does not match")
        if self.timestamp is not None:
            check_time(time, now, self.tolerance, 1000 if self.milliseconds else 1)
        return proof

    def _signed(self, delivery: Delivery, time: str) -> bytes:
        parts = {"timestamp": time, "method": delivery.method, "url": delivery.url}
        made = b""
        for piece in re.split(r"(\{\w+\})", self.signs):
            name = piece.strip("{}")
            if piece == "{body}":
                made += delivery.body
            elif piece == "{form}":
                fields = parse_qsl(delivery.body.decode("utf-8", "replace"), keep_blank_values=True)
                made += "".join(key + value for key, value in sorted(fields)).encode()
            else:
                made += (parts[name] if piece != name else piece).encode("utf-8", "replace")
        return made


@dataclass(frozen=True, slots=True)
class EcdsaSignature:
    """ECDSA over SHA-256 of time and body; the secret is the vendor's public key (base64 of its DER)."""

    header: str
    timestamp: str
    tolerance: timedelta | None = USUAL
    is_resigned: bool = False

    def verify(self, delivery: Delivery, secrets: Sequence[str], now: float) -> bytes:
        """Try each public key; see `Signature`."""
        sent, time = delivery.headers.get(self.header, ""), delivery.headers.get(self.timestamp, "")
        if not sent or not time:
            raise Refused(401, f"not signed: no {self.header if not sent else self.timestamp}")
        signature = _unbase64(sent)
        hashed = hashlib.sha256(time.encode("utf-8", "replace"))
        hashed.update(delivery.body)
        digest = hashed.digest()
        for secret in secrets:
            try:
                public_key(secret).verify(signature, digest, _ECDSA)
            except InvalidSignature:
                continue
            check_time(time, now, self.tolerance)
            return digest  # not the signature: a second one that fits is easily made from it
        raise Refused(401, "the signature does not match")


@lru_cache(maxsize=64)
def public_key(secret: str) -> ec.EllipticCurvePublicKey:
    """The elliptic-curve key of that text.

    Raises:
        FixCredentials: it is none.
    """
    try:
        key = load_der_public_key(base64.b64decode(secret, validate=True))
    except (ValueError, binascii.Error):
        key = None
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise FixCredentials(
            "webhook_secret is not an elliptic-curve public key",
            where="connection of an ECDSA-signed webhook",
            fix="Copy the verification key from the vendor's page, without spaces.",
        )
    return key


@dataclass(frozen=True, slots=True)
class SnsSignature:
    """Amazon SNS: RSA over named fields of the body; the secrets are the topics that may send.

    Anybody can own a topic whose messages Amazon signs; only the topic's name says that it is ours.
    """

    tolerance: timedelta | None = timedelta(hours=24)
    is_resigned: bool = False

    def verify(self, delivery: Delivery, secrets: Sequence[str], now: float) -> bytes:
        """Check topic, certificate, signature and age; see `Signature`."""
        message = sns_message(delivery.body)
        _check_topic(message, secrets)
        key = _certified_key(delivery.certificate, now)
        signature, signed = _unbase64(str(message.get("Signature", ""))), sns_signed(message)
        version = str(message.get("SignatureVersion"))
        if version not in ("1", "2"):
            raise Refused(401, "unknown SignatureVersion")
        try:
            key.verify(signature, signed, padding.PKCS1v15(), SHA1() if version == "1" else SHA256())
        except InvalidSignature:
            raise Refused(401, "the signature does not match") from None
        try:
            at = datetime.fromisoformat(str(message.get("Timestamp"))).timestamp()
        except ValueError:
            raise Refused(401, "the signed time is none") from None
        check_time(str(int(at)), now, self.tolerance)
        return hashlib.sha256(signed).digest()


SNS_HOST = re.compile(r"sns\.[a-z0-9-]{3,32}\.amazonaws\.com(\.cn)?")
_SNS_FIELDS = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    "SubscriptionConfirmation": ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
    "UnsubscribeConfirmation": ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
}


def sns_message(body: bytes) -> dict[str, Any]:
    """The envelope.

    Raises:
        Refused: 400, it is no JSON object of a known type.
    """
    try:
        message = msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise Refused(400, "the body is not a JSON object") from None
    if message.get("Type") not in _SNS_FIELDS:
        raise Refused(400, "Type is none that SNS sends")
    return message


def sns_signed(message: Mapping[str, Any]) -> bytes:
    """What SNS signs of a message: name and value of some fields, a line each, absent ones left out."""
    names = [name for name in _SNS_FIELDS[str(message["Type"])] if message.get(name) is not None]
    return "".join(f"{name}\n{message[name]}\n" for name in names).encode()


def sns_certificate_url(delivery: Delivery, secrets: Sequence[str]) -> str:
    """Where the signer's certificate is.

    Raises:
        Refused: 401, the topic is not ours, or the address is not Amazon's.
    """
    message = sns_message(delivery.body)
    _check_topic(message, secrets)
    url = str(message.get("SigningCertURL", ""))
    if not is_sns_url(url) or not urlsplit(url).path.endswith(".pem"):
        raise Refused(401, "SigningCertURL is not Amazon's")
    return url


def is_sns_url(url: str) -> bool:
    """Whether an address is SNS's own: https, its host and no other port or user."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme == "https" and SNS_HOST.fullmatch(parts.netloc) is not None


def _check_topic(message: Mapping[str, Any], secrets: Sequence[str]) -> None:
    topic = str(message.get("TopicArn", ""))
    if not _is_one_of(topic, secrets):
        raise Refused(401, "the topic is not one of the connection's webhook_secret")


@lru_cache(maxsize=16)
def _certificate(pem: bytes) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(pem)
    except ValueError:
        raise Refused(401, "the signer's certificate cannot be read") from None


def _certified_key(pem: bytes, now: float) -> rsa.RSAPublicKey:
    certificate = _certificate(pem)
    at = datetime.fromtimestamp(now, UTC)
    if not certificate.not_valid_before_utc <= at <= certificate.not_valid_after_utc:
        raise Refused(401, "the signer's certificate is not valid now")
    key = certificate.public_key()
    if not isinstance(key, rsa.RSAPublicKey):
        raise Refused(401, "the signer's key is not RSA")
    return key


@dataclass(frozen=True, slots=True)
class SharedToken:
    """No signature, only a secret both sides know: a Bearer token, a Basic password, or `?token=` in the address."""

    tolerance: timedelta | None = None
    is_resigned: bool = False

    def verify(self, delivery: Delivery, secrets: Sequence[str], now: float) -> bytes:
        """Compare whatever was given with each secret; see `Signature`."""
        scheme, _, value = delivery.headers.get("authorization", "").partition(" ")
        sent = value.strip() if scheme.lower() == "bearer" else basic(delivery.headers)[1]
        sent = sent or parse_qs(urlsplit(delivery.url).query).get("token", [""])[0]
        if not sent:
            raise Refused(401, "no token")
        if not _is_one_of(sent, secrets):
            raise Refused(401, "the token is not the connection's")
        return b""


def basic(headers: Mapping[str, str]) -> tuple[str, str]:
    """User and password of HTTP Basic, empty where there is none."""
    scheme, _, value = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    try:
        user, _, password = base64.b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return user, password


def check_time(text: str, now: float, tolerance: timedelta | None, unit: int = 1) -> None:
    """Refuse a signed time (epoch seconds, or `unit` of them) that is too far from `now`."""
    if not re.fullmatch(r"[0-9]{1,16}", text):
        raise Refused(401, "the signed time is none")
    if tolerance is not None and abs(now - int(text) / unit) > tolerance.total_seconds():
        raise Refused(401, f"signed more than {tolerance.total_seconds():.0f} s ago, or in the future")


def _is_one_of(given: str, secrets: Sequence[str]) -> bool:
    """Whether it equals one of them, in a time that tells nothing about any."""
    found = False
    for secret in secrets:
        found |= hmac.compare_digest(given.encode("utf-8", "replace"), secret.encode())
    return found


def _unbase64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Refused(401, "the signature is not base64") from None
