"""People beside the policy document, as spreadsheets write them."""

import pytest

from categories.taxonomy import taxonomy
from policy.document import PolicyDocument, load_document
from policy.people_list import PeopleList, as_csv, read_people_csv, read_people_yaml
from policy.problem import PolicyError
from policy.town_policy import Person

DOCUMENT = """\
town: {name: Town of Exampleton, timezone: America/New_York}
departments:
  finance: {name: Finance, head: head}
people:
  head: {name: Head of Finance, department: finance}
"""
CLERK = {"clerk": Person("Clerk", "clerk@town.example", "finance")}


def load(listed: PeopleList) -> PolicyDocument:
    return load_document(DOCUMENT, taxonomy(), listed)


def listed_in(text: str) -> dict[str, Person]:
    people = dict(load(read_people_csv(text)).policy.people)
    assert people.pop("head").name == "Head of Finance"
    return people


@pytest.mark.parametrize(
    "text",
    [
        "id,name,mail,department\nclerk,Clerk,clerk@town.example,finance\n",
        "\ufeffid;name;mail;department\r\nclerk;Clerk;clerk@town.example;finance\r\n",
        "Department\tMail\tName\tID\nfinance\tclerk@town.example\tClerk\tclerk",
        'id,name,mail,department,phone\n\n"clerk","Clerk",clerk@town.example, finance ,555\n,,,,\n',
    ],
    ids=["commas", "Excel", "tabs, other order", "quotes, empty lines, other columns"],
)
def test_a_table_is_read_however_it_was_saved(text: str) -> None:
    assert listed_in(text) == CLERK


def test_mail_and_department_may_be_left_out() -> None:
    assert listed_in("id,name,department\nclerk,Clerk,\n") == {"clerk": Person("Clerk")}
    assert listed_in("name,id\nClerk,clerk\n") == {"clerk": Person("Clerk")}


@pytest.mark.parametrize(
    "name", ["=cmd()", "+1", "-2+3", "@SUM(A1)", '=HYPERLINK("http://x")', "'tis", "O'Neil"]
)
def test_a_cell_that_a_spreadsheet_would_compute_is_text_and_stays_so(name: str) -> None:
    people = {"clerk": Person(name, "", "finance")}
    written = as_csv(people)
    assert listed_in(written) == people
    for cell in written.splitlines()[1].split(","):
        assert not cell.strip('"').startswith(("=", "+", "-", "@"))


def test_names_with_separators_and_quotes_come_back_as_they_were() -> None:
    people = {"a": Person('Ann "Bo", Jr.; clerk'), "b": Person("José Ñandú", "b@town.example", "finance")}
    assert listed_in(as_csv(people)) == people


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "id,name,department\nclerk,Clerk,financ\n",
            "line 2: clerk.department: 'financ' is not a department (nearest: 'finance')",
        ),
        ("id,nam\nclerk,Clerk\n", "line 1: 'nam' is not a column (nearest: 'name')"),
        ("id,nam\nclerk,Clerk\n", "line 1: the column 'name' is missing"),
        ("name,phone\nClerk,5\n", "line 1: the column 'id' is missing"),
        ("id,name,ID\n", "line 1: 'ID' is a column twice"),
        ("", "line 1: the table is empty"),
        ("id,name\n,Clerk\n", "line 2: ['']: nothing is written here"),
        ("id,name\nclerk,\n", "line 2: clerk: 'name' is missing"),
        ("id,name\nThe Clerk,Clerk\n", "line 2: ['The Clerk']: 'The Clerk' cannot be an id"),
        ("id,name\nclerk,Clerk\nclerk,Other\n", "line 3: clerk: 'clerk' is given twice, first in line 2"),
        (
            "id,name\n\nhead,Head\n",
            "line 3: head: 'head' is in the policy document too, line 5; leave one out",
        ),
        ("id,name,mail\nclerk,Clerk,clerk\n", "line 2: clerk.mail: 'clerk' is not a mail address"),
        ("id,name\nclerk,Clerk,Jr.\n", "line 2: 3 cells, and the first line names 2"),
        ('id,name\nclerk,"Cle"rk\n', "line 2: this is no table"),
        ('id,name\na,"two\nlines"\nclerk,Cl\x07\n', "line 4: clerk.name: 'Cl\\x07' holds characters"),
        ('id,name\na,"never closed\n', "line 2: this is no table: unexpected end of data"),
        ("id,name\na,A\x00\n", "line 2: a.name: 'A\\x00' holds characters"),
    ],
)
def test_every_problem_is_said_with_its_line_and_the_nearest_word(text: str, said: str) -> None:
    with pytest.raises(PolicyError) as raised:
        load(read_people_csv(text))
    assert said in "\n".join(str(problem) for problem in raised.value.problems)
    assert {problem.in_file("policy.yaml").partition(":")[0] for problem in raised.value.problems} == {
        "people.csv"
    }


def test_problems_of_the_document_and_of_the_list_are_said_together_each_with_its_file() -> None:
    with pytest.raises(PolicyError) as raised:
        load_document(
            DOCUMENT.replace("head: head", "head: haed"), taxonomy(), read_people_csv("id,name\nx y,X\n")
        )
    assert [problem.in_file("policy.yaml").partition(" ")[0] for problem in raised.value.problems] == [
        "policy.yaml:",
        "people.csv:",
    ]


def test_a_column_that_is_not_read_is_a_warning() -> None:
    (warning,) = load(read_people_csv("id,name,badge\nclerk,Clerk,12\n")).warnings
    assert warning.in_file("") == (
        "people.csv: line 1: the column 'badge' is not read; read are id, name, mail, department, kind"
    )


def test_the_document_can_name_who_is_only_in_the_list() -> None:
    document = DOCUMENT.replace("head: head", "head: head, delegates: [clerk]")
    policy = load_document(document, taxonomy(), read_people_csv("id,name\nclerk,Clerk\n")).policy
    assert policy.departments["finance"].delegates == ("clerk",)
    other = load_document(document, taxonomy(), read_people_csv("id,name\nclerk,Clark\n")).policy
    assert policy.version != other.version


@pytest.mark.parametrize(
    "text", ["people: {clerk: {name: Clerk}}", "clerk: {name: Clerk}", "people: {name: P}"]
)
def test_yaml_is_read_as_in_the_policy_document(text: str) -> None:
    people = load(read_people_yaml(text, "staff.yaml")).policy.people
    assert {*people} - {"head"} == {"people" if "name: P" in text else "clerk"}


def test_broken_yaml_is_said_with_its_file() -> None:
    with pytest.raises(PolicyError) as raised:
        read_people_yaml("clerk: {name: [", "staff.yaml")
    assert raised.value.problems[0].in_file("policy.yaml").startswith("staff.yaml: line 2: YAML: ")
