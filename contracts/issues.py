"""The one catalogue of issues: every file error, error, alert and hold reason, in words for a school's office.

No message about data is written anywhere else: report, downloads, command line and emails read it here. Rule: every
entry has a stable code, severity, subject, title, what it means, and how to fix it in the SIS.

Texts are written once for all kinds of sources: ``{in the files|in Clever}`` is the first alternative where the data
come as files, the second where they come from Clever.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Final

import polars as pl

from contracts.formats import CSV, SOURCE_KINDS

# The codes of what puts a school on hold.
DATA_REMOVALS, SCHOOL_MISSING, UNUSUAL_CHANGES = "data_removals", "school_missing", "unusual_changes"
TOO_MANY_GUARDIANS, EMERGENCY_CONTACTS = "too_many_guardians", "emergency_contacts"
DISCONNECTED, FILE_ERRORS, STALE, FAILED_RUN = "disconnected", "file_errors", "stale", "failed_run"


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

    `title` is a phrase without a full stop; `meaning` and `remedy` are whole sentences. `is_about_rows`: the problem is
    between the rows of a record, so that all of them are shown.
    """

    code: str
    severity: Severity
    subject: str
    title: str
    meaning: str
    remedy: str
    is_about_rows: bool = False


_CHOICE: Final = re.compile(r"\{([^{}|]*)\|([^{}|]*)\}")

_AGAIN_FILES = "Then send the complete set of files again."
_AGAIN_CLEVER = "The next nightly sync picks it up, or check for new Clever data."
_AGAIN = "{" + _AGAIN_FILES + "|" + _AGAIN_CLEVER + "}"

_FOOTER = (
    "If the row is a total or a count of rows that the export adds at the end, switch that footer off in the export. "
)

_FILE_ERRORS = (
    Entry(
        "file_missing",
        Severity.FILE_ERROR,
        "file",
        "A file is missing",
        "All files of the format are needed to tell what is new, changed or gone. This one was not sent, or was not "
        "sent again with the others.",
        "Check in your SIS that the export makes all files, each under its own name (capital letters make no "
        "difference); a file without records still needs its first line with the column names. " + _AGAIN_FILES,
    ),
    Entry(
        "file_duplicate",
        Severity.FILE_ERROR,
        "file",
        "Two files have the same name",
        "Capital letters, and blanks at the ends of a name, make no difference. Both of these files were sent, so that "
        "it is unclear which one counts.",
        "Remove the file that is not meant from the folder, and let the export in your SIS write each file under one "
        "name only. " + _AGAIN_FILES,
    ),
    Entry(
        "file_empty",
        Severity.FILE_ERROR,
        "file",
        "The file is empty",
        "The file has nothing in it, not even the first line with the column names.",
        "Check in your SIS that the export of this file finished. If there are no records for it, it must still hold "
        "the line with the column names. " + _AGAIN_FILES,
    ),
    Entry(
        "file_unreadable",
        Severity.FILE_ERROR,
        "file",
        "The file cannot be read",
        "The file is not a CSV text file. It may be a spreadsheet, a PDF, a compressed file or a web page whose name "
        "was changed.",
        "Set the export in your SIS to CSV (text). If the file was opened in a spreadsheet program, save it there as "
        "CSV UTF-8; changing the name is not enough. If it was downloaded, a web page may have been saved in its "
        "place: sign in and download it again. " + _AGAIN_FILES,
    ),
    Entry(
        "encoding_invalid",
        Severity.FILE_ERROR,
        "file",
        "The file is not saved as UTF-8",
        "Letters such as é or ñ are stored in an older way that cannot be read safely, so that names would be "
        "damaged. The line shown is the first where this was found.",
        "Set the character encoding of the export in your SIS to UTF-8, or save the file as CSV UTF-8. " + _AGAIN_FILES,
    ),
    Entry(
        "separator_invalid",
        Severity.FILE_ERROR,
        "file",
        "The columns are not separated by commas",
        "The file uses another character between its columns.",
        "Set the separator (also called delimiter) of the export in your SIS to comma. " + _AGAIN_FILES,
    ),
    Entry(
        "header_missing",
        Severity.FILE_ERROR,
        "file",
        "The first line does not name the columns",
        "The first line has to hold the names of the columns, and this one holds none of them: it may be a title, or "
        "the records may start at once.",
        "Set the export in your SIS to write the column names as the first line, spelled as the file format names "
        "them, and nothing above them: no title, no date, no line such as sep=,. " + _AGAIN_FILES,
    ),
    Entry(
        "column_missing",
        Severity.FILE_ERROR,
        "file",
        "A required column is missing",
        "The first line of the file does not name a column that every such file must have.",
        "Add the column to the export in your SIS, spelled as shown here, and make sure that the first line of the "
        "file holds the column names. " + _AGAIN_FILES,
    ),
    Entry(
        "column_duplicate",
        Severity.FILE_ERROR,
        "file",
        "A column appears twice",
        "The first line of the file names the same column more than once, so that it is unclear which one counts. "
        "Capital letters, and blanks instead of underscores, make no difference.",
        "Keep each column only once in the export of your SIS. " + _AGAIN_FILES,
    ),
    Entry(
        "columns_invalid",
        Severity.FILE_ERROR,
        "file",
        "A row has too many or too few cells",
        "The row does not have one cell for each column of the first line, so that its values would end up in the "
        "wrong columns. Often a value holds a comma and is not in quotes, or a row was cut short.",
        "Look the row up in your SIS and correct the value, or set the export to put values in double quotes. An "
        "empty value still needs its comma. " + _FOOTER + _AGAIN_FILES,
    ),
    Entry(
        "quotes_invalid",
        Severity.FILE_ERROR,
        "file",
        "Quotation marks are in the wrong place or not doubled",
        "Double quotes have to enclose a whole value, from its first to its last character, and a double quote inside "
        "such a value has to be written twice. In this row they do not.",
        "Correct the value in your SIS (often a nickname or an inch mark), or set the export to double the quotation "
        "marks inside values. " + _AGAIN_FILES,
    ),
    Entry(
        "line_break_in_cell",
        Severity.FILE_ERROR,
        "file",
        "A value is broken over several lines",
        "A value of this row holds a line break, so that one row takes several lines. Every row has to be one line.",
        "Look the row up in your SIS and remove the line break from the value; it is often at the end of a name, an "
        "address or a note that was pasted in. " + _AGAIN_FILES,
    ),
    Entry(
        "nul_character",
        Severity.FILE_ERROR,
        "file",
        "The row holds a character that cannot be stored",
        "The row holds an invisible character (a null character) that no text should have. The file was probably "
        "damaged when it was written or sent.",
        "Export the file again from your SIS. If the error stays, retype this row there. " + _AGAIN_FILES,
    ),
    Entry(
        "id_missing",
        Severity.FILE_ERROR,
        "file",
        "An ID is missing",
        "The row has an empty cell in an ID column that must be filled in every row. Without it the row cannot be "
        "told apart from others, and somebody could be removed by mistake.",
        "Look the row up in your SIS and fill in the ID of the column shown. If it is not a real record, remove it. "
        + _FOOTER
        + _AGAIN_FILES,
    ),
)

_ERRORS = (
    Entry(
        "teacher_email_missing",
        Severity.ERROR,
        "teacher",
        "Teacher{| or staff member} without an email address",
        "The {teacher|person} has no email address. {Teachers|Teachers and staff} sign in with it, so no account can "
        "be created.",
        "Enter the {teacher|person}'s work email address in your SIS{ (column teacher_email in teachers.csv)| or in "
        "Clever}. " + _AGAIN,
    ),
    Entry(
        "teacher_email_invalid",
        Severity.ERROR,
        "teacher",
        "Teacher's {|or staff member's }email address is not valid",
        "The email address is not one that mail can be sent to. {Teachers|Teachers and staff} sign in with it, so no "
        "account can be created.",
        "Correct the {teacher|person}'s email address in your SIS{ (column teacher_email in teachers.csv)| or in "
        "Clever}: one "
        "address, with an @ and no blanks. " + _AGAIN,
    ),
    Entry(
        "teacher_email_taken",
        Severity.ERROR,
        "teacher",
        "Teacher's {|or staff member's }email address is in use by somebody else",
        "Another account has this email address already, or another person of the district has it in the "
        "{files|data}. No two accounts can share one.",
        "Give the {teacher|person} an email address of their own in your SIS{ (column teacher_email in "
        "teachers.csv)| or in "
        "Clever}. If one person is in it twice, {with two teacher IDs|as two users}, keep one of them. " + _AGAIN,
    ),
    Entry(
        "name_missing",
        Severity.ERROR,
        "person",
        "Name is missing",
        "A teacher{|, staff member} or student needs a first and a last name, a guardian at least one of the two. "
        "Without it no account can be created.",
        "Fill in the name in your SIS{ (columns teacher_first_name and teacher_last_name in teachers.csv, "
        "student_first_name and student_last_name in students.csv; for guardians guardian_first_name and "
        "guardian_last_name there)| or in Clever}. " + _AGAIN,
    ),
    Entry(
        "guardian_unreachable",
        Severity.ERROR,
        "guardian",
        "Guardian has no email or phone",
        "The guardian has neither a phone number nor an email address that can be used, so no account can be "
        "created. An email address that is not valid, or that belongs to somebody else, does not count.",
        "Enter an email address or phone number that only this guardian has in your SIS{ (columns guardian_email and "
        "guardian_phone in students.csv)| or in Clever}. Teachers who are parents need a phone or a second address as "
        "guardians. " + _AGAIN,
    ),
    Entry(
        "id_shared",
        Severity.ERROR,
        "person",
        "Two people have the same ID",
        "{Rows|Records} with the same ID differ in both names, in the date of birth and a name or email address, or "
        "are "
        "about twins, so they are about different people. None of them can be created, as it is not known whose ID it "
        "is.",
        "Give each person an ID of their own in your SIS{ (column teacher_id in teachers.csv, student_id in "
        "students.csv)| or in Clever}. If it is one person, make the names and the date of birth the same in all "
        "{rows|records}. " + _AGAIN,
        is_about_rows=True,
    ),
    Entry(
        "school_unknown",
        Severity.ERROR,
        "school",
        "{School is not in schools.csv|Record without a school}",
        "The {row names a school ID that schools.csv does not have|record names no school}, so it is not known where "
        "the person or class belongs.",
        "{Correct the school of the record in your SIS (column school_id), or add the school to schools.csv. Capital "
        "letters and leading zeros have to be the same in both.|Assign the person or section to a school in your SIS "
        "or in Clever.} " + _AGAIN,
    ),
    Entry(
        "class_name_missing",
        Severity.ERROR,
        "class",
        "Class without a name",
        "The {class|section} has no name, so {it|its class} cannot be created.",
        "Enter a name for the {class|section} in your SIS{ (column class_name in classes.csv)| or in Clever}. "
        + _AGAIN,
    ),
    Entry(
        "class_teacher_unknown",
        Severity.ERROR,
        "class",
        "Class without a known teacher",
        "{None of the teacher IDs that classes.csv and enrollments.csv name for this class is in teachers.csv|The "
        "section has no teacher, or none of its teachers is shared}, so nobody could lead the class and it cannot be "
        "created.",
        "Assign a teacher to the {class|section} in your SIS{ (column teacher_id in classes.csv, or a row of "
        "enrollments.csv)| or in Clever}, or make sure that the teacher is {in teachers.csv|shared}. " + _AGAIN,
    ),
    Entry(
        "class_in_two_schools",
        Severity.ERROR,
        "class",
        "Class is listed under two schools",
        "The same class {ID |}stands with different schools. A class belongs to one school only, so it cannot be "
        "created.",
        "Give each school's class an ID of its own in your SIS{| or in Clever}, or correct the school{ (columns "
        "class_id and school_id in classes.csv)|}. " + _AGAIN,
        is_about_rows=True,
    ),
    Entry(
        "enrollment_class_unknown",
        Severity.ERROR,
        "enrollment",
        "Enrollment in an unknown class",
        "{The row enrolls somebody in a class ID that classes.csv does not have|Somebody is enrolled in a section that "
        "does not exist}, so they cannot be put into the class. Whoever is in a class already stays there.",
        "Correct the class of the enrollment in your SIS{ (column class_id in enrollments.csv)| or in Clever}, or make "
        "sure that the class is {in classes.csv|shared}. " + _AGAIN,
    ),
    Entry(
        "enrollment_student_unknown",
        Severity.ERROR,
        "enrollment",
        "Enrollment of an unknown person",
        "{The row enrolls an ID that neither students.csv nor teachers.csv has|Somebody is enrolled who does not "
        "exist}, so nobody can be put into the class. Whoever is in the class already stays there.",
        "Correct the person of the enrollment in your SIS{ (column user_id in enrollments.csv)| or in Clever}, or make "
        "sure that the person is {in students.csv or teachers.csv|shared}. " + _AGAIN,
    ),
)

_ALERTS = (
    Entry(
        "record_not_shared",
        Severity.ALERT,
        "person",
        "Record refers to one that is not shared",
        "The record names a school or student, as shown, that {is not in the files|the district does not share with "
        "us}. Everything else of the record was used, and nothing was removed for it.",
        "If the school or student should be here, {add them to the export in your SIS|share them in Clever, or correct "
        "the record in your SIS or in Clever}. Otherwise, no action is needed. " + _AGAIN,
    ),
    Entry(
        "email_shared",
        Severity.ALERT,
        "guardian",
        "Email address is shared by many guardians",
        "More than three guardians with different names have the same email address, so it is probably a placeholder "
        "or the school's own. The guardian is set up without it.",
        "Enter the guardian's own email address in your SIS{| or in Clever}, or leave it empty{ (column "
        "guardian_email in students.csv)|}. " + _AGAIN,
    ),
    Entry(
        "duplicate_conflict",
        Severity.ALERT,
        "person",
        "{Rows with the same ID|Records of the same person} say different things",
        "{This ID appears in several rows that differ in the columns shown|Several records are about one person and "
        "differ in the fields shown}. One of the values was chosen, and it may not be the right one.",
        "Make the values of the {columns shown the same in all rows of this ID in your SIS|fields shown the same in "
        "all records of this person in your SIS or in Clever}. " + _AGAIN,
        is_about_rows=True,
    ),
    Entry(
        "invisible_character",
        Severity.ALERT,
        "person",
        "Name or ID holds an invisible character",
        "A name or ID holds a character that nobody can see, as shown, often pasted in from a web page or a PDF. It "
        "looks "
        "like another name or ID, but is not the same.",
        "Type the name or ID shown anew in your SIS{| or in Clever}, without copying it. " + _AGAIN,
    ),
    Entry(
        "name_damaged",
        Severity.ALERT,
        "person",
        "Name has damaged letters",
        "The name, as shown, holds letters that were damaged on the way, such as Ã± in place of ñ, &eacute; in place "
        "of é, "
        "or a black diamond with a question mark.",
        "Type the name anew in your SIS{, or set the character encoding of its export to UTF-8| or in Clever}. "
        + _AGAIN,
    ),
    Entry(
        "placeholder_value",
        Severity.ALERT,
        "person",
        "A placeholder stands in place of a value",
        "The field shown holds a word that people type where they know nothing, such as N/A or 0. As an ID it was not "
        "used; as a name it was used as it is, but for guardians.",
        "Enter the value in your SIS{| or in Clever}, or leave it empty. " + _AGAIN,
    ),
    Entry(
        "date_order_unclear",
        Severity.ALERT,
        "student",
        "Dates of birth can be read in two ways",
        "Some dates of this {column|field} have the month first and others the day, so that it is not known which is "
        "which "
        "in dates such as 3/4/2014. Those were not used; students keep the date they had.",
        "Set the date format {of the export |}in your SIS{| or in Clever} to year-month-day, such as 2014-04-03. "
        + _AGAIN,
    ),
    Entry(
        "duplicate_row",
        Severity.ALERT,
        "file",
        "The same {row|record} is there twice",
        "The {row|record} is the same as an earlier {row of the file|one}. It was counted once, and nothing is lost.",
        "Check in your SIS{| or in Clever} whether the record was entered twice{, and whether the export lists it "
        "twice|}. " + _AGAIN,
    ),
    Entry(
        "student_unreachable",
        Severity.ALERT,
        "student",
        "No contact information for this student",
        "Neither the student nor any of their guardians has an email address or phone number that can be used, so "
        "messages about the student reach nobody.",
        "Enter an email address or phone number for a guardian {or the student in your SIS (columns guardian_email, "
        "guardian_phone, student_email and student_phone in students.csv)|(contact), or an email address for the "
        "student, in your SIS "
        "or in Clever}. " + _AGAIN,
    ),
    Entry(
        "student_without_guardian",
        Severity.ALERT,
        "student",
        "Student without a guardian",
        "No guardian is given for the student, so no family member is connected.",
        "Add a guardian{| (contact)} with a name, and an email address or phone number, in your SIS{ (the columns in "
        "students.csv that start with guardian_)| or in Clever}{|, and make sure that contacts are shared}. " + _AGAIN,
    ),
    Entry(
        "email_invalid",
        Severity.ALERT,
        "person",
        "Email address is not valid",
        "The email address is not one that mail can be sent to, so it was not used. If the person had one before, "
        "that one stays.",
        "Correct the email address in your SIS{| or in Clever}, or leave it empty: one address, with an @ and no "
        "blanks{ (columns teacher_email in teachers.csv, student_email and guardian_email in students.csv)|}. "
        + _AGAIN,
    ),
    Entry(
        "email_taken",
        Severity.ALERT,
        "person",
        "Email address is in use by somebody else",
        "Another account has this email address already, or another person of the district has it in the "
        "{files|data}. No two accounts can share one, so the person is set up without it.",
        "Enter an email address that only this person has in your SIS{| or in Clever}, or leave it empty{ (columns "
        "student_email and guardian_email in students.csv)|}. Teachers who are parents need a phone or a second "
        "address "
        "as guardians. " + _AGAIN,
    ),
    Entry(
        "phone_invalid",
        Severity.ALERT,
        "person",
        "Phone number is not valid",
        "The phone number, or what else is in its place, cannot be called, so it was not used. If the person had a "
        "number "
        "before, that one stays. Of several numbers in one place only the first is used.",
        "Enter one phone number in your SIS{| or in Clever}, with its area code and without words, or leave it empty{ "
        "(columns teacher_mobile_phone in teachers.csv, student_phone and guardian_phone in students.csv)|}. " + _AGAIN,
    ),
    Entry(
        "birth_date_invalid",
        Severity.ALERT,
        "student",
        "Date of birth is not valid",
        "The date of birth is not a date that can be read, or not a possible one, so it was not used. If the student "
        "had "
        "one before, that one stays. It helps to tell students apart.",
        "Correct the date of birth in your SIS{, such as 2014-09-03 or 9/3/2014 (column dob in students.csv)| "
        "or in Clever, such as 9/3/2014}. " + _AGAIN,
    ),
    Entry(
        "birth_date_missing",
        Severity.ALERT,
        "student",
        "Date of birth is missing",
        "The student has no date of birth. It helps to tell students apart.",
        "Enter the student's date of birth in your SIS{ (column dob in students.csv)| or in Clever}. " + _AGAIN,
    ),
    Entry(
        "grade_unknown",
        Severity.ALERT,
        "student",
        "Grade not recognized",
        "The grade is not one that is known, so it was not used. If the student had one before, that one stays.",
        "Correct the grade in your SIS{: a number from 1 to 13, K for kindergarten, PK or TK before it (column grade "
        "in students.csv)| or in Clever: a number from 1 to 13, Kindergarten or what precedes it, or PostGraduate}. "
        + _AGAIN,
    ),
    Entry(
        "student_without_class",
        Severity.ALERT,
        "student",
        "Student without a class",
        "The student has an account, but is enrolled in no class.",
        "Enroll the student in their {classes|sections} in your SIS{ (enrollments.csv), or check that the export "
        "covers the present term| or in Clever, or check that the sections of the present term are shared}. " + _AGAIN,
    ),
    Entry(
        "class_without_students",
        Severity.ALERT,
        "class",
        "Class without students",
        "The class is created, but no student is enrolled in it.",
        "Enroll the students in your SIS{ (enrollments.csv)| or in Clever}, or remove the {class|section} if it does "
        "not take place. " + _AGAIN,
    ),
    Entry(
        "teacher_without_class",
        Severity.ALERT,
        "teacher",
        "Teacher without a class",
        "The teacher has an account, but leads no class.",
        "Assign the teacher to their {classes|sections} in your SIS{ (column teacher_id in classes.csv, or a row of "
        "enrollments.csv)| or in Clever}. If they teach none, nothing needs to be done. " + _AGAIN,
    ),
    Entry(
        "co_teacher_unknown",
        Severity.ALERT,
        "class",
        "Co-teacher not found",
        "One of the {teacher IDs of this class is not in teachers.csv|section's teachers is not shared}. The class is "
        "led by its other teachers.",
        "Correct the teacher in your SIS{ (column teacher_id in classes.csv)| or in Clever}, or make sure that the "
        "teacher is {in teachers.csv|shared}. " + _AGAIN,
    ),
    Entry(
        "class_teacher_other_school",
        Severity.ALERT,
        "class",
        "Teacher is not listed at the class's school",
        "The teacher leads the class, but {teachers.csv does not list them|is not} at the {class's|section's} school.",
        "{Add a row for the teacher at this school in your SIS, or correct the school of the class (column school_id "
        "in teachers.csv and classes.csv)|Add the school to the teacher's schools in your SIS or in Clever, or "
        "correct the school of the section}. " + _AGAIN,
    ),
    Entry(
        "enrollment_ambiguous",
        Severity.ALERT,
        "enrollment",
        "A student and a teacher of the class have the same ID",
        "The ID of this enrollment is a student's who is in the class already, and also that of a teacher whom "
        "{classes.csv names for it|the section names}. The student stays in the class.",
        "Give the student or the teacher another ID in your SIS{, the same in all files| or in Clever}. " + _AGAIN,
    ),
    Entry(
        "enrollment_school_mismatch",
        Severity.ALERT,
        "enrollment",
        "Enrollment names another school than its class",
        "The school of the enrollment is not the school of its class. The person is put into the class all the same.",
        "Correct the school in your SIS{, or leave it out (column school_id in enrollments.csv; the class's school is "
        "in classes.csv)| or in Clever}. " + _AGAIN,
    ),
    Entry(
        "enrollment_student_other_school",
        Severity.ALERT,
        "enrollment",
        "Enrolled student belongs to another school",
        "The student is put into the class, but {students.csv does not list them|is not} at the {class's|section's} "
        "school.",
        "{Add a row for the student at this school in your SIS, or correct the enrollment (column school_id in "
        "students.csv, class_id in enrollments.csv)|Add the school to the student's schools in your SIS or in Clever, "
        "or correct the section's students}. " + _AGAIN,
    ),
    Entry(
        "class_name_too_long",
        Severity.ALERT,
        "class",
        "Class name is too long",
        "A class name can have at most 255 characters. The rest was cut off.",
        "Shorten the name of the {class|section} in your SIS{ (column class_name in classes.csv)| or in Clever}. "
        + _AGAIN,
    ),
    Entry(
        "class_name_duplicate",
        Severity.ALERT,
        "class",
        "Several classes have the same name",
        "Another class of the school has the same name, so that people cannot tell them apart.",
        "Add the period, the section or the teacher to the name in your SIS{ (column class_name in classes.csv)| or in "
        "Clever}. " + _AGAIN,
    ),
    Entry(
        "guardian_names_differ",
        Severity.ALERT,
        "guardian",
        "One guardian has several names",
        "{Rows|Contacts} that are about one guardian, by ID, phone or email address, spell the name differently. One "
        "of the names was chosen.",
        "Spell the guardian's name the same for all their students in your SIS{| or in Clever}. If they are two "
        "people, give each an {ID, |}email address and phone number of their own{ (columns guardian_first_name, "
        "guardian_last_name, guardian_id, guardian_email and guardian_phone in students.csv)|}. " + _AGAIN,
    ),
    Entry(
        "guardian_id_shared",
        Severity.ALERT,
        "guardian",
        "Several guardians have the same ID",
        "{Rows|Contacts} with the same guardian ID are about different people: their names differ, and so do their "
        "contact details. The ID was not used. Each of them is set up by name, phone and email address.",
        "Give each guardian an ID of their own in your SIS{ (column guardian_id in students.csv), or leave it empty| "
        "or in Clever}. If they are one person, spell the name and enter the phone number the same everywhere. "
        + _AGAIN,
    ),
    Entry(
        "former_school_unknown",
        Severity.ALERT,
        "person",
        "{Person's school is no longer in schools.csv|Person is in no school any more}",
        "The person has an account at this school, but {the only school that the files name for them is not in "
        "schools.csv|Clever names no school for them}. The account stays as it is.",
        "If the person has left, for example by graduating, leave them out of {the export in your SIS|what you share "
        "in Clever}: that removes the account. If not, {correct their school in your SIS (column school_id), or add it "
        "to schools.csv. Capital letters and leading zeros have to be the same in both|assign them to a school in your "
        "SIS or in Clever}. " + _AGAIN,
    ),
    Entry(
        "school_empty",
        Severity.ALERT,
        "school",
        "School without any records",
        "{schools.csv names the school, but no row of any other file does|Clever has the school, but no students, "
        "teachers or sections of it}, so nothing can be set up there.",
        "Make sure that the {export in your SIS covers this school|school's records are shared in Clever, and correct "
        "it in your SIS or in Clever}. If it has no students and teachers yet, nothing needs to be done. " + _AGAIN,
    ),
    Entry(
        "school_name_too_long",
        Severity.ALERT,
        "school",
        "School name is too long",
        "A school name can have at most 60 characters. The rest was cut off.",
        "Shorten the name of the school in your SIS{ (column school_name in schools.csv)| or in Clever}. " + _AGAIN,
    ),
    Entry(
        "school_name_missing",
        Severity.ALERT,
        "school",
        "School without a name",
        "The school has no name{ in schools.csv|}. The school still syncs.",
        "Enter the name of the school in your SIS{ (column school_name in schools.csv)| or in Clever}. " + _AGAIN,
    ),
)

_HOLDS = (
    Entry(
        "data_removals",
        Severity.HOLD,
        "school",
        "Many people or classes would be removed",
        "The {files no longer hold|data no longer have} a large part of what the school, or the whole district, had. "
        "That is expected at the end of a semester or year; otherwise records are {missing from the export|no longer "
        "shared}, or their IDs were changed. Nothing of the school was changed.",
        "Download the list of removals. If it is right, confirm the removals. If not, correct the data in your SIS{| "
        "or in Clever}: look for records left out, and for changed IDs. " + _AGAIN,
    ),
    Entry(
        "school_missing",
        Severity.HOLD,
        "school",
        "The school is missing from the {files|data}",
        "{schools.csv does not have the school's ID|Clever does not give us the school}, so that everybody of the "
        "school would be removed. Nothing of the school was changed.",
        "Check {in your SIS that the export covers this school, under the same ID as before (column school_id in "
        "schools.csv)|in Clever that this school is shared, and that it is the same school there as before; correct "
        "it in your SIS or in Clever}. {"
        + _AGAIN_FILES
        + " |}If the school has closed, confirm the removals.{| "
        + _AGAIN_CLEVER
        + "}",
    ),
    Entry(
        "unusual_changes",
        Severity.HOLD,
        "school",
        "Many people would change at once",
        "A large part of the school's people would get another last name, email address or phone number, or nobody "
        "would have one (or a birth date or grade) any more, or many guardians would be added to students who are "
        "here already. {Columns that slipped or changed places|Values "
        "that slipped}, a new email domain, guardians entered twice, or IDs of other people, look like that. Nothing "
        "of the school was changed.",
        "Download the list of changes, which shows the old and the new values. If it is right, confirm the changes. If "
        "not, correct the data in your SIS{, or the settings of its export| or in Clever}. " + _AGAIN,
    ),
    Entry(
        "too_many_guardians",
        Severity.HOLD,
        "school",
        "A student has six or more guardians",
        "At least one student would have six or more guardian accounts. Often contacts who are no guardians are "
        "{exported|shared} as such, or one guardian is entered several times. Nothing of the school was changed.",
        "Download the list of these students and their guardians. If all of them are right, accept them as they are "
        "(Create accounts): they are set up, and not asked about again until the student's guardians change. If not, "
        "remove those who do not belong there in your SIS{| or in Clever}. " + _AGAIN,
    ),
    Entry(
        "emergency_contacts",
        Severity.HOLD,
        "school",
        "Emergency contacts are in the {files|data}",
        "Contacts of type emergency or secondary are among the guardians. They would get accounts and the messages "
        "about the student, though many of them are neighbors or relatives. Nothing of the school was changed.",
        "Download the list of contacts. Choose to leave them out, which counts for all schools of this source from now "
        "on; or accept them, and they are set up like guardians; or filter these types out in your SIS{ (column "
        "guardian_type in students.csv)| or in Clever}. " + _AGAIN,
    ),
    Entry(
        "disconnected",
        Severity.HOLD,
        "school",
        "The connection to {the drop folder|Clever} is broken",
        "The {folder that the files arrive in can't be reached or read|district's data in Clever "
        "can't be reached, our credentials are rejected, or Clever reports the district as pending or in error}. The "
        "school's accounts stay as they were.",
        "{Check that the drop folder is there and that Rollcall has read access, and that the export in your SIS still "
        "sends to it|If Clever reports an error, Clever has to solve it, and nothing needs to be done here. "
        "Otherwise check in Clever that our app is still authorized for the district, that the schools are shared "
        "and that nothing is pending, and correct it in your SIS or in Clever}. Then choose I fixed it (rollcall "
        "hold fixed), and the data are processed at once. {It also ends by itself at the next sync that gets "
        "through; if files were missed, send the complete set of files again.|" + _AGAIN_CLEVER + "}",
    ),
    Entry(
        "file_errors",
        Severity.HOLD,
        "school",
        "The files could not be used",
        "At least one file of the district has errors that stop the whole delivery, so nothing of any of its schools "
        "was changed.",
        "Open the list of file errors. It shows every bad row, and what to correct in your SIS or in the settings of "
        "its export. " + _AGAIN_FILES,
    ),
    Entry(
        "failed_run",
        Severity.HOLD,
        "school",
        "The sync failed on our side",
        "Something went wrong on our side while the school was being updated. Nothing of the school was changed, and "
        "it is not a problem of your data.",
        "Nothing needs to be done in your SIS{| or in Clever}. Our team has been notified; the next sync that "
        "succeeds ends this.",
    ),
    Entry(
        "stale",
        Severity.HOLD,
        "school",
        "No {files|data} for 90 days",
        "No {files|data} have come for 90 days, so the school's accounts no longer match its records.",
        "Check that {the export in your SIS still runs and still has access to the folder it sends to|the data still "
        "reach Clever, and correct it in your SIS or in Clever}. {Export and send the complete set of files again.|"
        + _AGAIN_CLEVER
        + "}",
    ),
)


def _worded(entry: Entry, kind: str) -> Entry:
    def worded(text: str) -> str:
        return _CHOICE.sub(lambda found: found[1 + SOURCE_KINDS.index(kind)], text)

    return replace(entry, title=worded(entry.title), meaning=worded(entry.meaning), remedy=worded(entry.remedy))


_CATALOGUES: Final[Mapping[str, Mapping[str, Entry]]] = MappingProxyType(
    {
        kind: MappingProxyType(
            {entry.code: _worded(entry, kind) for entry in (*_FILE_ERRORS, *_ERRORS, *_ALERTS, *_HOLDS)}
        )
        for kind in SOURCE_KINDS
    }
)


def catalogue(kind: str) -> Mapping[str, Entry]:
    """The entries by code, in the words of a kind of source. File errors are always in the words of files.

    Raises KeyError for a kind that is none of SOURCE_KINDS.
    """
    return _CATALOGUES[kind]


CATALOGUE: Final = catalogue(CSV)


def message(code: str, detail: str | None = None, kind: str = CSV) -> str:
    """One sentence: the entry's title, and the detail if any (columns, counts; never a value).

    Raises KeyError for a code that is not in the catalogue.
    """
    title = catalogue(kind)[code].title
    return f"{title}: {detail}." if detail else f"{title}."


def with_catalogue(issues: pl.DataFrame, kind: str | pl.Expr = CSV) -> pl.DataFrame:
    """The frame, in its order, with the columns severity and message (String) added.

    Takes any frame with the columns code and detail (String). kind: of the source of all of them, or of each. Raises
    KeyError for a code that is not in the catalogue.
    """
    unknown = sorted(set(issues["code"].unique()) - CATALOGUE.keys())
    if unknown:
        raise KeyError(f"not in the catalogue: {', '.join(map(str, unknown))}")
    severities = {code: str(entry.severity) for code, entry in CATALOGUE.items()}
    kinds = pl.lit(kind) if isinstance(kind, str) else kind
    title = pl.coalesce(
        pl.when(kinds == each).then(
            pl.col("code").replace_strict(
                {code: entry.title for code, entry in catalogue(each).items()}, return_dtype=pl.String
            )
        )
        for each in SOURCE_KINDS
    )
    return issues.with_columns(
        severity=pl.col("code").replace_strict(severities, return_dtype=pl.String),
        message=pl.when(pl.col("detail").fill_null("") == "")
        .then(pl.format("{}.", title))
        .otherwise(pl.format("{}: {}.", title, pl.col("detail"))),
    )
