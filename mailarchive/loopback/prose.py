"""Text that reads like letters from afar: words by frequency, sentences, paragraphs, tables."""

import random

GIVEN_NAMES = (
    "Anna Jürgen Mei Olu Søren Clara Ivan Zoë Pedro Aiko Lena Tomás Nadia Émile Ruth Karim Greta Hugo Ines Jonas "
    "Kaja Liam Marta Noor Oskar Priya Quentin Rosa Stefan Tove Uma Viktor"
)
FAMILY_NAMES = (
    "Adler Brandt Costa Dietrich Eriksen Fontaine Grubb Hansen Iversen Jansen Keller Larsen Moreau Novak Okafor "
    "Petrov Quist Rossi Schmidt Tanaka Ueda Vogel Weber Xavier Yilmaz Zimmer Albers Baker Carver Draper Ellis "
    "Ford"
)
SUBJECTS = (
    "Meeting on",
    "Invoice for",
    "Draft of",
    "Question about",
    "Notes from",
    "Grüße aus",
    "Rechnung über",
    "Plan for",
    "Photos of",
    "[announce] Release of",
    "会議の件",
    "Your order of",
)
NOTICE = (
    '<div class="footer"><p>You receive this message because you asked for it. '
    '<a href="https://example.org/preferences">Change your preferences</a> or '
    '<a href="https://example.org/leave">leave the list</a>.</p></div>\r\n'
)
STYLE = (
    "<style>\r\n"
    + "".join(
        f".{name} {{ font-family: Helvetica, Arial, sans-serif; font-size: {size}px; line-height: {size + 6}px; "
        f"margin: 0 0 {size}px 0; padding: {size // 2}px; color: #{size:02x}{size * 3:02x}33; }}\r\n"
        for size, name in enumerate(("text", "footer", "header", "button", "column", "quote", "price", "note"), 11)
    )
    + "</style>"
)
_COMMON = (
    "the of and to a in is that for it on with as was at by be this from are or have not we you they but will can "
    "which if one all has there would their what so up out about who get when make time just know take people "
    "into year your good some could them see other than then now look only come its over think also back after "
    "use two how our work first well way even new want because any these give day most us please find attached "
    "regards thank meeting project report monday tomorrow draft version budget team office wir das die der und "
    "nicht ist mit für auf bitte danke heute morgen schön Termin Grüße Entwurf Straße"
)
_SYLLABLES = (
    "ba be bi bo bra cal cen con cor dan den der dis el en er est fer fin for gal gen gra hal her in ka kan la "
    "len li lo man mar men mi mon na ner nor or pa par per pi pla por pre pro ra ren ri ro sal sen ser si sta str "
    "ta ten ter ti to tra tur ul un va ven ver vi vo wal wen"
)
_RARE_WORDS = 3_000
_PAIRS = 5_000
_LINE = 72


class Prose:
    """Makes text from one source of random numbers."""

    def __init__(self, source: random.Random) -> None:
        self._random = source
        syllables = _SYLLABLES.split()
        rare = ["".join(source.choices(syllables, k=source.randrange(2, 5))) for _ in range(_RARE_WORDS)]
        words = [*_COMMON.split(), *rare]
        weights = [1 / rank for rank in range(3, len(words) + 3)]
        chosen = source.choices(words, weights, k=2 * _PAIRS)
        self._pairs = [f"{first} {second}" for first, second in zip(chosen[::2], chosen[1::2], strict=True)]

    def words(self, pairs: int) -> str:
        """Return twice as many words as ``pairs``."""
        return " ".join(self._random.choices(self._pairs, k=pairs))

    def paragraphs(self, size: int) -> str:
        """Return about ``size`` octets of text in lines of about 72 characters, with CRLF."""
        pairs = iter(self._random.choices(self._pairs, k=max(3, size // 11)))
        lines, line, left = list[str](), "", self._random.randrange(4, 12)
        for pair in pairs:
            if len(line) + len(pair) >= _LINE:
                lines.append(line)
                line, left = "", left - 1
                if not left:
                    lines[-1] += "."
                    lines.append("")
                    left = self._random.randrange(4, 12)
            line = f"{line} {pair}" if line else pair.capitalize() if not lines or not lines[-1] else pair
        return "\r\n".join([*lines, f"{line}.", ""])

    def table(self, size: int) -> bytes:
        """Return about ``size`` octets of comma-separated values."""
        rows = [
            f"2021-{number % 12 + 1:02d}-{number % 28 + 1:02d},{number},{self._random.randrange(10**6)},"
            f"{self._random.choice(self._pairs)}\r\n"
            for number in range(max(1, size // 34))
        ]
        return "".join(rows).encode()
