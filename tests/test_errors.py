from rsfiqa.errors import InputError, first_line, printable


def test_the_first_line_of_an_error():
    assert first_line(ValueError("\none\ntwo")) == "one"
    assert first_line(KeyError()) == "KeyError"


def test_an_input_error_is_one_line_of_printable_text():
    error = InputError("x must be a name, found 'a\nb\x1b[2Jc\u2028d\udce9e\u00e9'; change it")
    assert str(error) == r"x must be a name, found 'a\nb\x1b[2Jc\u2028d\udce9eé'; change it"
    assert f"{error}" == str(error)


def test_what_turns_or_ends_a_line_is_escaped_and_the_spaces_of_all_languages_stay():
    names = [
        "Screenshot 9.41\u202fAM.png",
        "\u5199\u771f\u3000\u4e00.jpg",
        "\U0001f469\u200d\U0001f680.jpg",
    ]
    assert [printable(name) for name in names] == names
    assert printable("gpj.\u202eexe") == r"gpj.\u202eexe"
