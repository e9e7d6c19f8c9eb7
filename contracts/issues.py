"""The one catalogue of issues: every file error, error, alert and hold reason, in words for a school's office.

No message about data is written anywhere else: report, downloads, command line and e-mails read it here. Rule: every
entry has a stable code, severity, subject, title, what it means, and how to fix it in the SIS.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

import polars as pl


class Severity(StrEnum):
    """How far a problem reaches: the delivery, the record, nothing but usefulness, or the school's sync."""

    FILE_ERROR = "file_error"  # stops the whole delivery
    ERROR = "error"  # keeps an account or class from being created
    ALERT = "alert"  # the record is provisioned, but is less useful
    HOLD = "hold"  # why a school's sync is on hold


SUBJECTS: Final = ("file", "school", "teacher", "student", "guardian", "class", "enrollment", "person")


@dataclass(frozen=True)
class Entry:
    """One kind of problem. `subject` is what its records are, one of SUBJECTS; the texts hold no value of any record.

    `title` is a phrase without a full stop; `meaning` and `remedy` are whole sentences.
    """

    code: str
    severity: Severity
    subject: str
    title: str
    meaning: str
    remedy: str


_AGAIN = "Then send the complete set of files again."
_ALL_AGAIN = "Export and send the complete set of files again."

_FILE_ERRORS = (
    Entry(
        "file_missing",
        Severity.FILE_ERROR,
        "file",
        "A file is missing",
        "All files of the format are needed to tell what is new, changed or gone. This one was not sent, or was not "
        "sent again with the others.",
        "Check in your SIS that the export makes all files, each under its exact name; a file without records still "
        "needs its first line with the column names. " + _AGAIN,
    ),
    Entry(
        "file_empty",
        Severity.FILE_ERROR,
        "file",
        "The file is empty",
        "The file has nothing in it, not even the first line with the column names.",
        "Check in your SIS that the export of this file finished. If there are no records for it, it must still hold "
        "the line with the column names. " + _AGAIN,
    ),
    Entry(
        "file_unreadable",
        Severity.FILE_ERROR,
        "file",
        "The file cannot be read",
        "The file is not a CSV text file. It may be a spreadsheet, a PDF or a compressed file whose name was changed.",
        "Set the export in your SIS to CSV (text). If the file was opened in a spreadsheet program, save it there as "
        "CSV UTF-8; changing the name is not enough. " + _AGAIN,
    ),
    Entry(
        "encoding_invalid",
        Severity.FILE_ERROR,
        "file",
        "The file is not saved as UTF-8",
        "Letters such as é or ñ are stored in an older way that cannot be read safely, so that names would be "
        "damaged. The line shown is the first where this was found.",
        "Set the character encoding of the export in your SIS to UTF-8, or save the file as CSV UTF-8. " + _AGAIN,
    ),
    Entry(
        "separator_invalid",
        Severity.FILE_ERROR,
        "file",
        "The columns are not separated by commas",
        "The file uses another character between its columns.",
        "Set the separator (also called delimiter) of the export in your SIS to comma. " + _AGAIN,
    ),
    Entry(
        "column_missing",
        Severity.FILE_ERROR,
        "file",
        "A required column is missing",
        "The first line of the file does not name a column that every such file must have.",
        "Add the column to the export in your SIS, spelled as shown here, and make sure that the first line of the "
        "file holds the column names. " + _AGAIN,
    ),
    Entry(
        "column_duplicate",
        Severity.FILE_ERROR,
        "file",
        "A column appears twice",
        "The first line of the file names the same column more than once, so that it is unclear which one counts. "
        "Capital letters, and blanks instead of underscores, make no difference.",
        "Keep each column only once in the export of your SIS. " + _AGAIN,
    ),
    Entry(
        "columns_invalid",
        Severity.FILE_ERROR,
        "file",
        "A row has too many or too few cells",
        "The row does not have one cell for each column of the first line, so that its values would end up in the "
        "wrong columns. Often a value holds a comma and is not in quotes, or a row was cut short.",
        "Look the row up in your SIS and correct the value, or set the export to put values in double quotes. An "
        "empty value still needs its comma. " + _AGAIN,
    ),
    Entry(
        "quotes_invalid",
        Severity.FILE_ERROR,
        "file",
        "Quotation marks are not right",
        "Double quotes have to enclose a whole value, from its first to its last character, and a double quote inside "
        "such a value has to be written twice. In this row they do not.",
        "Correct the value in your SIS (often a nickname or an inch mark), or set the export to double the quotation "
        "marks inside values. " + _AGAIN,
    ),
    Entry(
        "line_break_in_cell",
        Severity.FILE_ERROR,
        "file",
        "A value is broken over several lines",
        "A value of this row holds a line break, so that one row takes several lines. Every row has to be one line.",
        "Look the row up in your SIS and remove the line break from the value; it is often at the end of a name, an "
        "address or a note that was pasted in. " + _AGAIN,
    ),
    Entry(
        "nul_character",
        Severity.FILE_ERROR,
        "file",
        "The row holds a character that cannot be stored",
        "The row holds an invisible character (a null character) that no text should have. The file was probably "
        "damaged when it was written or sent.",
        "Export the file again from your SIS. If the error stays, type the values of this row anew there. " + _AGAIN,
    ),
    Entry(
        "id_missing",
        Severity.FILE_ERROR,
        "file",
        "An ID is missing",
        "The row has an empty cell in an ID column that must be filled in every row. Without it the row cannot be "
        "told apart from others, and somebody could be removed by mistake.",
        "Look the row up in your SIS and fill in the ID of the column shown. If it is not a real record, remove it. "
        + _AGAIN,
    ),
)

_ERRORS = (
    Entry(
        "teacher_email_missing",
        Severity.ERROR,
        "teacher",
        "Teacher without an e-mail address",
        "The teacher has no e-mail address. Teachers sign in with it, so no account can be created.",
        "Enter the teacher's work e-mail address in your SIS (column email in teachers.csv). " + _AGAIN,
    ),
    Entry(
        "teacher_email_invalid",
        Severity.ERROR,
        "teacher",
        "Teacher's e-mail address is not valid",
        "The e-mail address is not one that mail can be sent to. Teachers sign in with it, so no account can be "
        "created.",
        "Correct the teacher's e-mail address in your SIS (column email in teachers.csv): one address, with an @ and "
        "no blanks. " + _AGAIN,
    ),
    Entry(
        "teacher_email_taken",
        Severity.ERROR,
        "teacher",
        "Teacher's e-mail address is in use by somebody else",
        "Another account has this e-mail address already, or another person of the district has it in the files. No "
        "two accounts can share one.",
        "Give the teacher an e-mail address of their own in your SIS (column email in teachers.csv). If one person "
        "is in it twice, with two teacher IDs, keep one of them. " + _AGAIN,
    ),
    Entry(
        "name_missing",
        Severity.ERROR,
        "person",
        "Name is missing",
        "A teacher or student needs a first and a last name, a guardian at least one of the two. Without it no account "
        "can be created.",
        "Fill in the name in your SIS (columns first_name and last_name; for guardians in students.csv "
        "guardian_first_name and guardian_last_name). " + _AGAIN,
    ),
    Entry(
        "guardian_unreachable",
        Severity.ERROR,
        "guardian",
        "Guardian without e-mail address and phone",
        "The guardian has neither a phone number nor an e-mail address that can be used, so no account can be "
        "created. An e-mail address that is not valid, or that belongs to somebody else, does not count.",
        "Enter the guardian's own e-mail address or phone number in your SIS (columns guardian_email and "
        "guardian_phone in students.csv). " + _AGAIN,
    ),
    Entry(
        "id_shared",
        Severity.ERROR,
        "person",
        "Two people have the same ID",
        "Rows with the same ID differ in both names or in the date of birth, so they are about different people. None "
        "of them can be created, as it is not known whose ID it is.",
        "Give each person an ID of their own in your SIS (column teacher_id in teachers.csv, student_id in "
        "students.csv). If it is one person, make the names and the date of birth the same in all rows. " + _AGAIN,
    ),
    Entry(
        "school_unknown",
        Severity.ERROR,
        "school",
        "School is not in schools.csv",
        "The row names a school ID that schools.csv does not have, so it is not known where the person or class "
        "belongs.",
        "Correct the school of the record in your SIS (column school_id), or add the school to schools.csv. Capital "
        "letters and leading zeros have to be the same in both. " + _AGAIN,
    ),
    Entry(
        "class_name_missing",
        Severity.ERROR,
        "class",
        "Class without a name",
        "The class has no name, so it cannot be created.",
        "Enter a name for the class in your SIS (column class_name in classes.csv). " + _AGAIN,
    ),
    Entry(
        "class_teacher_unknown",
        Severity.ERROR,
        "class",
        "Class without a known teacher",
        "None of the teacher IDs of this class is in teachers.csv, so nobody could lead the class and it cannot be "
        "created.",
        "Assign a teacher to the class in your SIS (column teacher_id in classes.csv), or make sure that the teacher "
        "is in teachers.csv. " + _AGAIN,
    ),
    Entry(
        "class_in_two_schools",
        Severity.ERROR,
        "class",
        "Class is listed under two schools",
        "The same class ID stands with different schools. A class belongs to one school only, so it cannot be created.",
        "Give each school's class an ID of its own in your SIS, or correct the school (columns class_id and school_id "
        "in classes.csv). " + _AGAIN,
    ),
    Entry(
        "enrollment_class_unknown",
        Severity.ERROR,
        "enrollment",
        "Enrollment in an unknown class",
        "The row enrolls a student in a class ID that classes.csv does not have, so the student cannot be put into "
        "the class.",
        "Correct the class of the enrollment in your SIS (column class_id in enrollments.csv), or make sure that the "
        "class is in classes.csv. " + _AGAIN,
    ),
    Entry(
        "enrollment_student_unknown",
        Severity.ERROR,
        "enrollment",
        "Enrollment of an unknown student",
        "The row enrolls a student ID that students.csv does not have, so nobody can be put into the class.",
        "Correct the student of the enrollment in your SIS (column student_id in enrollments.csv), or make sure that "
        "the student is in students.csv. " + _AGAIN,
    ),
)

_ALERTS = (
    Entry(
        "email_shared",
        Severity.ALERT,
        "guardian",
        "E-mail address is shared by many guardians",
        "More than three guardians with different names have the same e-mail address, so it is probably a placeholder "
        "or the school's own. The guardian is set up without it.",
        "Enter the guardian's own e-mail address in your SIS, or leave it empty (column guardian_email in "
        "students.csv). " + _AGAIN,
    ),
    Entry(
        "duplicate_conflict",
        Severity.ALERT,
        "person",
        "Rows with the same ID say different things",
        "The ID stands in several rows that differ in the columns shown. One of the values was chosen, and it may not "
        "be the right one.",
        "Make the values of the columns shown the same in all rows of this ID in your SIS. " + _AGAIN,
    ),
    Entry(
        "duplicate_row",
        Severity.ALERT,
        "file",
        "The same row is there twice",
        "The row is the same as an earlier row of the file. It was counted once, and nothing is lost.",
        "Check in your SIS whether the record was entered twice, and whether the export lists it twice. " + _AGAIN,
    ),
    Entry(
        "student_unreachable",
        Severity.ALERT,
        "student",
        "Nobody can be reached for this student",
        "Neither the student nor any of their guardians has an e-mail address or phone number that can be used, so "
        "messages about the student reach nobody.",
        "Enter an e-mail address or phone number for a guardian or the student in your SIS (columns guardian_email, "
        "guardian_phone, email and phone in students.csv). " + _AGAIN,
    ),
    Entry(
        "student_without_guardian",
        Severity.ALERT,
        "student",
        "Student without a guardian",
        "No guardian is given for the student, so no family member is connected.",
        "Add a guardian with a name, and an e-mail address or phone number, in your SIS (the columns in students.csv "
        "that start with guardian_). " + _AGAIN,
    ),
    Entry(
        "email_invalid",
        Severity.ALERT,
        "person",
        "E-mail address is not valid",
        "The e-mail address is not one that mail can be sent to, so it was left out.",
        "Correct the e-mail address in your SIS, or leave it empty: one address, with an @ and no blanks (column "
        "email, for guardians guardian_email in students.csv). " + _AGAIN,
    ),
    Entry(
        "email_taken",
        Severity.ALERT,
        "person",
        "E-mail address is in use by somebody else",
        "Another account has this e-mail address already, or another person of the district has it in the files. No "
        "two accounts can share one, so the person is set up without it.",
        "Enter the person's own e-mail address in your SIS, or leave it empty (in students.csv column email for "
        "students, guardian_email for guardians). " + _AGAIN,
    ),
    Entry(
        "phone_invalid",
        Severity.ALERT,
        "person",
        "Phone number is not valid",
        "The phone number is not one that can be called, so it was left out.",
        "Correct the phone number in your SIS, with its area code and without words, or leave it empty (column phone, "
        "for guardians guardian_phone in students.csv). " + _AGAIN,
    ),
    Entry(
        "birth_date_invalid",
        Severity.ALERT,
        "student",
        "Date of birth is not valid",
        "The date of birth is not a date that can be read, or not a possible one, so it was left out. It helps to tell "
        "students apart.",
        "Correct the date of birth in your SIS, such as 2014-09-03 or 9/3/2014 (column birth_date in students.csv). "
        + _AGAIN,
    ),
    Entry(
        "birth_date_missing",
        Severity.ALERT,
        "student",
        "Date of birth is missing",
        "The student has no date of birth. It helps to tell students apart.",
        "Enter the student's date of birth in your SIS (column birth_date in students.csv). " + _AGAIN,
    ),
    Entry(
        "grade_unknown",
        Severity.ALERT,
        "student",
        "Grade is not known",
        "The grade is not one that is known, so it was left out.",
        "Correct the grade in your SIS: a number from 1 to 13, K for kindergarten, PK or TK before it (column grade in "
        "students.csv). " + _AGAIN,
    ),
    Entry(
        "student_without_class",
        Severity.ALERT,
        "student",
        "Student without a class",
        "The student has an account, but is enrolled in no class.",
        "Enroll the student in their classes in your SIS (enrollments.csv), or check that the export covers the "
        "present term. " + _AGAIN,
    ),
    Entry(
        "class_without_students",
        Severity.ALERT,
        "class",
        "Class without students",
        "The class is created, but no student is enrolled in it.",
        "Enroll the students in your SIS (enrollments.csv), or remove the class if it does not take place. " + _AGAIN,
    ),
    Entry(
        "teacher_without_class",
        Severity.ALERT,
        "teacher",
        "Teacher without a class",
        "The teacher has an account, but leads no class.",
        "Assign the teacher to their classes in your SIS (column teacher_id in classes.csv). If they teach none, "
        "nothing needs to be done. " + _AGAIN,
    ),
    Entry(
        "co_teacher_unknown",
        Severity.ALERT,
        "class",
        "A second teacher of the class is not known",
        "One of the teacher IDs of this class is not in teachers.csv. The class is led by its other teachers.",
        "Correct the teacher in your SIS (column teacher_id in classes.csv), or make sure that the teacher is in "
        "teachers.csv. " + _AGAIN,
    ),
    Entry(
        "class_teacher_other_school",
        Severity.ALERT,
        "class",
        "Class's teacher belongs to another school",
        "The teacher leads the class, but teachers.csv does not list them at the class's school.",
        "Add a row for the teacher at this school in your SIS, or correct the school of the class (column school_id in "
        "teachers.csv and classes.csv). " + _AGAIN,
    ),
    Entry(
        "enrollment_school_mismatch",
        Severity.ALERT,
        "enrollment",
        "Enrollment names another school than its class",
        "The school of the enrollment is not the school of its class. The student is put into the class all the same.",
        "Correct the school in your SIS, or leave it out (column school_id in enrollments.csv; the class's school is "
        "in classes.csv). " + _AGAIN,
    ),
    Entry(
        "enrollment_student_other_school",
        Severity.ALERT,
        "enrollment",
        "Enrolled student belongs to another school",
        "The student is put into the class, but students.csv does not list them at the class's school.",
        "Add a row for the student at this school in your SIS, or correct the enrollment (column school_id in "
        "students.csv, class_id in enrollments.csv). " + _AGAIN,
    ),
    Entry(
        "class_name_too_long",
        Severity.ALERT,
        "class",
        "Class name is too long",
        "A class name can have at most 255 characters. The rest was cut off.",
        "Shorten the name of the class in your SIS (column class_name in classes.csv). " + _AGAIN,
    ),
    Entry(
        "class_name_duplicate",
        Severity.ALERT,
        "class",
        "Several classes have the same name",
        "Another class of the school has the same name, so that people cannot tell them apart.",
        "Add the period, the section or the teacher to the name in your SIS (column class_name in classes.csv). "
        + _AGAIN,
    ),
    Entry(
        "guardian_names_differ",
        Severity.ALERT,
        "guardian",
        "One guardian has several names",
        "Rows that are about one guardian, by ID, phone or e-mail address, spell the name differently. One of the "
        "names was chosen.",
        "Spell the guardian's name the same for all their students in your SIS; if they are two people, give each an "
        "ID, e-mail address and phone number of their own (columns guardian_first_name, guardian_last_name and "
        "guardian_id in students.csv). " + _AGAIN,
    ),
    Entry(
        "school_name_too_long",
        Severity.ALERT,
        "school",
        "School name is too long",
        "A school name can have at most 60 characters. The rest was cut off.",
        "Shorten the name of the school in your SIS (column school_name in schools.csv). " + _AGAIN,
    ),
    Entry(
        "school_name_missing",
        Severity.ALERT,
        "school",
        "School without a name",
        "The school has no name in schools.csv. Its sync goes on all the same.",
        "Enter the name of the school in your SIS (column school_name in schools.csv). " + _AGAIN,
    ),
)

_HOLDS = (
    Entry(
        "data_removals",
        Severity.HOLD,
        "school",
        "Many people or classes would be removed",
        "The files no longer hold a large part of what the school had. That is expected at the end of a semester or "
        "year; otherwise records are missing from the export, or their IDs were changed. Nothing of the school was "
        "changed.",
        "Download the list of removals. If it is right, confirm the removals. If not, correct the data in your SIS: "
        "look for records left out, and for changed IDs. " + _AGAIN,
    ),
    Entry(
        "school_missing",
        Severity.HOLD,
        "school",
        "The school is missing from the files",
        "schools.csv does not have the school's ID, so that everybody of the school would be removed. Nothing of the "
        "school was changed.",
        "Check in your SIS that the export covers this school, under the same ID as before (column school_id in "
        "schools.csv). " + _AGAIN + " If the school has closed, confirm the removals.",
    ),
    Entry(
        "file_errors",
        Severity.HOLD,
        "school",
        "The files could not be used",
        "At least one file of the district has errors that stop the whole delivery, so nothing of any of its schools "
        "was changed.",
        "Open the list of file errors. It shows every bad row, and what to correct in your SIS or in the settings of "
        "its export. " + _AGAIN,
    ),
    Entry(
        "failed_run",
        Severity.HOLD,
        "school",
        "Our sync did not finish",
        "Something went wrong on our side while the school was being updated. Nothing of the school was changed, and "
        "it is not a problem of your data.",
        "Nothing needs to be done in your SIS. We have been told and look into it; the next sync that succeeds ends "
        "this.",
    ),
    Entry(
        "stale",
        Severity.HOLD,
        "school",
        "No files for 90 days",
        "No files have come for 90 days, so the school's accounts no longer match its records.",
        "Check that the export in your SIS still runs and still has access to the folder it sends to. " + _ALL_AGAIN,
    ),
)

CATALOGUE: Final[Mapping[str, Entry]] = MappingProxyType(
    {entry.code: entry for entry in (*_FILE_ERRORS, *_ERRORS, *_ALERTS, *_HOLDS)}
)


def message(code: str, detail: str | None = None) -> str:
    """One sentence: the entry's title, and the detail if any (columns, counts; never a value).

    Raises KeyError for a code that is not in the catalogue.
    """
    title = CATALOGUE[code].title
    return f"{title}: {detail}." if detail else f"{title}."


def with_catalogue(issues: pl.DataFrame) -> pl.DataFrame:
    """The frame, in its order, with the columns severity and message (String) added.

    Takes any frame with the columns code and detail (String). Raises KeyError for a code that is not in the catalogue.
    """
    unknown = sorted(set(issues["code"].unique()) - CATALOGUE.keys())
    if unknown:
        raise KeyError(f"not in the catalogue: {', '.join(map(str, unknown))}")
    severities = {code: str(entry.severity) for code, entry in CATALOGUE.items()}
    titles = {code: entry.title for code, entry in CATALOGUE.items()}
    title = pl.col("code").replace_strict(titles, return_dtype=pl.String)
    return issues.with_columns(
        severity=pl.col("code").replace_strict(severities, return_dtype=pl.String),
        message=pl.when(pl.col("detail").fill_null("") == "")
        .then(pl.format("{}.", title))
        .otherwise(pl.format("{}: {}.", title, pl.col("detail"))),
    )
