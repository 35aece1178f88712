"""Which language is a text in?"""

from __future__ import annotations

import pytest

from core.routing.languages import LANGUAGES, language_of

SENTENCES = [
    ("ar", "من فضلك ترجم هذا النص"),
    ("cs", "Můžete mi prosím přeložit tento text, který jsem dostal?"),
    ("da", "Kan du oversætte denne tekst til mig og sende den tilbage?"),
    ("de", "Bitte fassen Sie diesen Text für mich in drei Sätzen zusammen."),
    ("el", "Μετάφρασε αυτό το κείμενο"),
    ("en", "Please summarise this text for me in three sentences."),
    ("es", "Por favor, resume este texto en tres frases para mi jefe."),
    ("fi", "Voitko kääntää tämän tekstin, joka on kuin se oli?"),
    ("fr", "Pouvez-vous résumer ce texte pour moi en trois phrases ?"),
    ("he", "תרגם את הטקסט הזה"),
    ("hi", "कृपया इस पाठ का अनुवाद करें"),
    ("hu", "Kérem, fordítsa le ezt a szöveget, mert nem értem, hogy mit jelent."),
    ("it", "Per favore, riassumi questo testo in tre frasi per il mio capo."),
    ("ja", "この文章を翻訳してください"),
    ("ko", "이 글을 번역해 주세요"),
    ("nl", "Kunt u deze tekst voor mij in drie zinnen samenvatten?"),
    ("no", "Kan du oversette denne teksten for meg, og hva betyr den ikke?"),
    ("pl", "Proszę przetłumaczyć ten tekst, ponieważ nie wiem, co to jest."),
    ("pt", "Por favor, resuma este texto em três frases para o meu chefe, não mais."),
    ("ro", "Vă rog să traduceți acest text pentru că nu știu ce este."),
    ("ru", "Пожалуйста, переведите этот текст"),
    ("sv", "Kan du översätta den här texten åt mig och skicka den till dig?"),
    ("th", "ช่วยแปลข้อความนี้"),
    ("tr", "Lütfen bu metni benim için çevir, çünkü ne olduğu bir şey değil."),
    ("uk", "Будь ласка, перекладіть цей текст, бо я його не розумію її"),
    ("zh", "请翻译这段文字"),
]


@pytest.mark.parametrize(("language", "text"), SENTENCES)
def test_a_sentence_is_known_for_what_it_is(language: str, text: str) -> None:
    assert language_of(text) == language


def test_every_language_that_a_rule_can_ask_for_is_tested() -> None:
    assert [code for code, _ in SENTENCES] == [code for code, _ in LANGUAGES]


@pytest.mark.parametrize("text", ["", "42", "OK", "INV-2041", "SELECT * FROM orders", "Müller"])
def test_what_does_not_tell_has_no_language(text: str) -> None:
    assert language_of(text) == ""
