"""What does a text look like in another language, as far as a few words go?"""

from __future__ import annotations

import re

from core.simulator.reading import Brief

LANGUAGES = (
    "German", "French", "Spanish", "Italian", "Portuguese", "Dutch", "English", "Swedish", "Danish", "Norwegian",
    "Finnish", "Polish", "Czech", "Turkish", "Ukrainian", "Russian", "Greek", "Arabic", "Hebrew", "Hindi", "Chinese",
    "Korean", "Japanese",
)  # fmt: skip
GERMAN = {
    "and": "und", "the": "die", "is": "ist", "we": "wir", "you": "Sie", "not": "nicht", "with": "mit", "for": "für",
    "please": "bitte", "thank": "danke", "order": "Bestellung", "customer": "Kunde", "price": "Preis", "today": "heute",
    "hello": "hallo", "good": "gut", "invoice": "Rechnung", "month": "Monat", "day": "Tag", "new": "neu",
    "in": "in", "of": "von", "to": "zu", "a": "ein", "it": "es", "are": "sind", "time": "Zeit", "help": "Hilfe",
    "your": "Ihr", "our": "unser", "can": "kann", "be": "werden", "will": "wird", "tomorrow": "morgen",
    "address": "Adresse", "parcel": "Paket", "until": "bis", "this": "diesen", "evening": "Abend",
    "changed": "geändert",
}  # fmt: skip
FRENCH = {
    "and": "et", "the": "le", "is": "est", "we": "nous", "you": "vous", "not": "pas", "with": "avec", "for": "pour",
    "please": "s’il vous plaît", "thank": "merci", "order": "commande", "customer": "client", "price": "prix",
    "today": "aujourd’hui", "hello": "bonjour", "good": "bon", "invoice": "facture", "month": "mois", "day": "jour",
    "in": "dans", "of": "de", "to": "à", "a": "un", "it": "il", "are": "sont", "time": "temps", "help": "aide",
    "our": "notre", "your": "votre", "use": "utilisez", "until": "jusqu’à", "out of order": "en panne",
    "further notice": "nouvel ordre", "office": "bureau", "the stairs": "les escaliers", "the lift": "l’ascenseur",
}  # fmt: skip
SPANISH = {
    "and": "y", "the": "el", "is": "está", "not": "no", "with": "con", "for": "por", "please": "por favor",
    "thank you": "gracias", "order": "pedido", "your": "tu", "our": "nuestro", "parcel": "paquete", "of": "de",
    "on its way": "en camino", "today": "hoy", "tomorrow": "mañana", "hello": "hola", "price": "precio", "in": "en",
}  # fmt: skip
DICTIONARIES = {"German": GERMAN, "French": FRENCH, "Spanish": SPANISH}


def translate(brief: Brief) -> str:
    """The text, marked with the language asked for; a few words in it are translated, its layout is kept."""
    language = target_language(brief.instructions)
    words = DICTIONARIES.get(language, {})
    text = brief.material

    def translated(match: re.Match[str]) -> str:
        found = words[match.group(0).lower()]
        return found[0].upper() + found[1:] if match.group(0)[0].isupper() else found

    if words:
        longest_first = sorted(words, key=lambda word: -len(word))
        text = re.sub(rf"\b(?:{'|'.join(longest_first)})\b", translated, text, flags=re.IGNORECASE)
    apart = "\n\n" if re.match(r"\s*(?:[#>|*-]|\d+\.)\s", text) else " "
    return (
        f"[{language}]{apart}{text}\n\n"
        f"*(Simulated: marked as {language}, with few words or none translated. Claude would translate all of it.)*"
    )


def target_language(instructions: str) -> str:
    """The language after `into` or `to`, else the first one named, else English."""
    names = "|".join(LANGUAGES)
    found = re.search(rf"\b(?:into|to|in|ins|auf)\s+(?:\w+\s+)?({names})\b", instructions, re.IGNORECASE)
    found = found or re.search(rf"\b({names})\b", instructions, re.IGNORECASE)
    return found.group(1).capitalize() if found else "English"
