"""What people are called and what they type: names, addresses, phone numbers, and the ways they spell them."""

from __future__ import annotations

import hashlib
import random
import unicodedata

_FIRST = (
    "Aaron Abigail Ada Adam Agnes Aisha Alan Albert Alice Alma Amara Amir Anders Andrea Anna Anton Arjun Arthur "
    "Astrid August Aylin Beatriz Benedikt Bianca Boris Bruno Camila Carl Carmen Cecilia Chen Chloé Clara Conrad "
    "Daniel Daria David Deborah Dimitri Dolores Edith Eduardo Elena Elias Ella Emil Emma Erik Esther Eva Fatima "
    "Felix Fiona Florian Frances Frida Gabriel Georg Gloria Greta Gustav Hannah Harald Hassan Helena Henry Hugo "
    "Ibrahim Ida Ingrid Irene Isaac Ivan Jana Jasmin Joanna Johan Jonas José Judith Julia Karim Katja Kenji "
    "Kirsten Lars Laura Leila Leo Lucía Ludwig Maja Malik Marco Marta Mateo Matilda Max Mei Mira Mohammed Nadia "
    "Naomi Nicolás Nils Nina Noah Olga Oliver Omar Oscar Otto Paula Pedro Petra Priya Rafael Ralph Renée Rita "
    "Robert Rosa Ruben Ruth Samuel Sara Selma Sofia Stefan Tamar Theo Thomas Tomás Ursula Valentin Vera Victor "
    "Wanda William Xenia Yara Yusuf Zoë"
)
_LAST = (
    "Abbott Adler Ahmed Almeida Andersen Arnold Bach Baker Bauer Becker Bennett Berg Bianchi Bishop Blake Brandt "
    "Brooks Bryant Burke Campos Carter Castillo Chang Clarke Cohen Conti Costa Cruz Dahl Daniels Dawson Delgado "
    "Dietrich Dixon Dubois Duarte Eriksen Esposito Falk Farrell Fernández Ferrari Fischer Fleming Fontaine Foster "
    "Franke Fuentes Gallo García Gibson Graf Grant Greco Haas Hale Hansen Hartmann Hayashi Heller Herrera "
    "Hoffmann Holm Horn Hughes Ibáñez Iqbal Ito Jansen Jarvis Jensen Kaiser Kaplan Keller Khan Klein Kowalski "
    "Krüger Kumar Lambert Lange Larsen Leclerc Lehmann Lindgren López Lund Maier Malone Mancini Marsh Martín "
    "Mendoza Meyer Moreau Morgan Müller Nakamura Nguyen Nilsson Norton Novak Okafor Olsen Ortega Osborne Park "
    "Patel Peralta Petrov Quinn Ramírez Reyes Ricci Richter Romano Rossi Roux Sanders Santos Schmitt Schulz Silva "
    "Singh Soto Steiner Suzuki Takeda Thorne Torres Vargas Vidal Vogel Wagner Walsh Weber Winter Wolf Yamada "
    "Young Zeller Zimmermann"
)
FIRST_NAMES = tuple(_FIRST.split())
LAST_NAMES = tuple(_LAST.split())
DOMAINS = (
    "example.com",
    "example.org",
    "example.net",
    "mail.example.com",
    "post.example.org",
    "inbox.example.net",
    "web.mail.example.com",
    "students.uni.example.org",
)
INBOX_NAMES = ("info", "sales", "office", "hello", "accounts", "reception", "frontdesk")

PLACEHOLDER_EMAILS = ("test@test.com", "null", "n/a")
PLACEHOLDER_USER_IDS = ("anonymous", "null", "00000000-0000-0000-0000-000000000000")
PLACEHOLDER_PHONES = ("0000000000", "000-000-0000", "n/a")

PHONES = 80_000  # numbers that are set aside for fiction: 555-0100 to 555-0199 in 800 area codes
_UNDECOMPOSED = str.maketrans({"ß": "ss", "ø": "o", "ł": "l", "æ": "ae"})


def plain(name: str) -> str:
    """The name in lower-case ASCII letters, as it stands in an address."""
    decomposed = unicodedata.normalize("NFKD", name.lower().translate(_UNDECOMPOSED))
    return "".join(letter for letter in decomposed if letter.isascii() and (letter.isalnum() or letter == "-"))


def phone_number(index: int) -> str | None:
    """The phone number of that index in E.164; None once the fictional numbers are used up."""
    if index >= PHONES:
        return None
    return f"+1{200 + index // 100}55501{index % 100:02d}"


def spell_phone(rng: random.Random, phone: str | None) -> str | None:
    """The same number as somebody typed it: plain, with dashes, or with brackets."""
    if phone is None:
        return None
    area, rest = phone[2:5], f"{phone[5:8]}-{phone[8:]}"
    return rng.choice((phone, phone, f"+1 {area}-{rest}", f"+1 ({area}) {rest}"))


def spell_email(rng: random.Random, email: str) -> str:
    """The same address as somebody typed it: now and then in other case, or with spaces around it."""
    if rng.random() >= 0.08:
        return email
    local, _, domain = email.partition("@")
    return rng.choice(
        (
            email.upper(),
            f" {local.title()}@{domain.title()} ",
            f"{email} ",
            f"{local.title()}@{domain}",
        )
    )


def hash_email(email: str) -> str:
    """SHA-256 of the trimmed, lower-cased address, in hex: how links name a person without showing who."""
    return hashlib.sha256(email.strip().lower().encode()).hexdigest()


def random_uuid(rng: random.Random) -> str:
    """A version 4 UUID from the given generator, so that the same seed gives the same ids."""
    digits = f"{rng.getrandbits(128):032x}"
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"
