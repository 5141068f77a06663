"""Names of the sample people: a number in, a name in one of many scripts (and its mail form) out.

Every pair of given name and surname is used once before any is used twice, so that the n-th person
of a directory of any size has a name that can be computed, and found again, without a list.
"""

import unicodedata
from dataclasses import dataclass

_LATIN_GIVEN = (
    "Anna Björn Chloë Dörte Émile François Gülşen Håkon İlker João Łukasz Marta Noël Ólafur "
    "Petra Renée Søren Tomáš Úrsula Václav Wiebke Xavier Yvonne Zoë Aoife Siobhán Dafydd Ngozi "
    "Chidi Amara Nguyễn Thị-Hoa José María-José Jean-Luc Mary-Ann Leonor Kristīne Žofia Eilidh"
)
_LATIN_SURNAME = (
    "O'Brien D'Angelo Müller Größe Ångström Ñuñez García-López Sjöström Kowalczyk Dvořák Şahin "
    "Yılmaz Đorđević Þórsson Jørgensen Ferreira-Araújo L'Écuyer MacDonald van-der-Berg "  # noqa: RUF001 -- Turkish
    "Østergaard Nguyễn Trần Okonkwo Adeyemi Smith Jones Rossi Bianchi Novák Horváth Petrauskas "
    "Bērziņš Tamm Virtanen Murphy Ó'Súilléabháin Schmidt Weiß Lefèvre Čapek"
)

# Native spelling and the Latin one that mail addresses use.
_OTHER_SCRIPTS: tuple[tuple[str, str], ...] = (
    (  # Greek
        "Γιώργος:giorgos Ελένη:eleni Κώστας:kostas Μαρία:maria Νίκος:nikos Σοφία:sofia Άρης:aris",
        "Παπαδόπουλος:papadopoulos Οικονόμου:oikonomou Νικολάου:nikolaou Αγγελόπουλος:angelopoulos",
    ),
    (  # Cyrillic
        "Алексей:alexey Юлия:yulia Дмитрий:dmitry Ольга:olga Щукарь:shchukar Зоя:zoya Лев:lev",
        "Иванов:ivanov Соловьёв:solovyov Шевченко:shevchenko Їжакевич:yizhakevych Петров:petrov",
    ),
    (  # Arabic, written right to left
        "محمد:mohammed فاطمة:fatima أحمد:ahmed ليلى:layla يوسف:yousef نور:nour",
        "الحداد:alhaddad خليل:khalil المنصور:almansour حسن:hassan",
    ),
    (  # Hebrew
        "דוד:david שרה:sara יעל:yael נועם:noam תמר:tamar",
        "כהן:cohen לוי:levi מזרחי:mizrahi פרידמן:friedman",
    ),
    (  # Han
        "伟:wei 秀英:xiuying 娜:na 静:jing 磊:lei 建国:jianguo 𠮷:ji",
        "王:wang 李:li 张:zhang 欧阳:ouyang 诸葛:zhuge",
    ),
    (  # Kana and kanji
        "さくら:sakura ハルト:haruto 結衣:yui 健太:kenta みさき:misaki",
        "佐藤:sato 鈴木:suzuki 高橋:takahashi 渡邉:watanabe",
    ),
    (  # Hangul
        "지훈:jihun 서연:seoyeon 민준:minjun 하은:haeun",
        "김:kim 이:yi 박:park 최:choi",
    ),
    (  # Devanagari
        "आरव:aarav प्रिया:priya रोहन:rohan अनन्या:ananya",
        "शर्मा:sharma पटेल:patel सिंह:singh गुप्ता:gupta",
    ),
    (  # Thai, Armenian and Georgian, one of each
        "สมชาย:somchai Արամ:aram ნინო:nino",
        "ใจดี:jaidee Պետրոսյան:petrosyan ბერიძე:beridze",
    ),
)

_FOLDS = str.maketrans(
    {
        "ø": "o",
        "ł": "l",
        "đ": "d",
        "þ": "th",
        "ß": "ss",
        "ı": "i",  # noqa: RUF001 -- the Turkish letter is meant
        "æ": "ae",
        "ð": "d",
    }
)


@dataclass(frozen=True, slots=True)
class Name:
    given: str
    surname: str
    address: str
    """The local part of mail addresses: ASCII, lower case, apostrophes kept."""


def ascii_address(text: str) -> str:
    folded = unicodedata.normalize("NFKD", text.lower().translate(_FOLDS))
    return "".join(c for c in folded if c.isascii() and (c.isalnum() or c in "-'"))


def _pairs() -> list[Name]:
    names = [
        Name(given, surname, f"{ascii_address(given)}.{ascii_address(surname)}")
        for given in _LATIN_GIVEN.split()
        for surname in _LATIN_SURNAME.split()
    ]
    for givens, surnames in _OTHER_SCRIPTS:
        for given in givens.split():
            for surname in surnames.split():
                (native, latin), (native_family, latin_family) = (
                    given.split(":"),
                    surname.split(":"),
                )
                names.append(Name(native, native_family, f"{latin}.{latin_family}"))
    return list({name.address: name for name in names}.values())


NAMES = _pairs()
_BY_ADDRESS = {name.address: place for place, name in enumerate(NAMES)}
# Stepping by a number without a common divisor visits every pair once before it repeats.
_STEP = 7919
_STEP_BACK = pow(_STEP, -1, len(NAMES))


def name_of(number: int, seed: int) -> Name:
    """The name of the n-th person; beyond the last pair, the address carries a number."""
    place = (number * _STEP + seed) % len(NAMES)
    again = number // len(NAMES)
    name = NAMES[place]
    return name if again == 0 else Name(name.given, name.surname, f"{name.address}{again + 1}")


def number_of(address: str, seed: int) -> int | None:
    """The person whose name has this address, if the address is one of ours."""
    plain = address.rstrip("0123456789")
    place = _BY_ADDRESS.get(plain)
    if place is None:
        return None
    again = int(address[len(plain) :] or "1") - 1
    return (place - seed) * _STEP_BACK % len(NAMES) + again * len(NAMES)
