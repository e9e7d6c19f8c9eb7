"""The one catalogue of issues: every file error, error, alert and hold reason, in words for a school's office.

No message about data is written anywhere else: report, downloads, command line and emails read it here. Rule: every
entry has a stable code, severity, title, what it means, and how to fix it in the SIS.

Texts are written once for all formats. ``{in the export|shared}`` is the first alternative where districts send files,
the second where another system holds the records. ``<fields student.email>`` becomes the columns that hold the fields
in brackets, or nothing where the format has none; ``<file student>`` the file of such rows; and ``<class>`` and the
like the word of the format, see `contracts.formats.Format.words`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache
from types import MappingProxyType
from typing import Final

import polars as pl

from contracts.formats import DEFAULT_FORMAT, FORMATS, Format

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


@dataclass(frozen=True)
class Entry:
    """One kind of problem. The texts hold no value of any record.

    `title` is a phrase without a full stop; `meaning` and `remedy` are whole sentences. `is_about_rows`: the problem is
    between the rows of a record, so that all of them are shown.
    """

    code: str
    severity: Severity
    title: str
    meaning: str
    remedy: str
    is_about_rows: bool = False


# {of files|of records}, and <word of the format>.
_CHOICE: Final = re.compile(r"\{([^{}|]*)\|([^{}|]*)\}")
_WORD: Final = re.compile(r"<([a-z_. ]+)>")

_AGAIN_FILES = "Then send the complete set of files again."
_AGAIN_RECORDS = "The next nightly sync picks it up, or check for new <source> data."
_AGAIN = "{" + _AGAIN_FILES + "|" + _AGAIN_RECORDS + "}"

_FOOTER = (
    "If the row is a total or a count of rows that the export adds at the end, switch that footer off in the export. "
)

_FILE_ERRORS = (
    Entry(
        "file_missing",
        Severity.FILE_ERROR,
        "A file is missing",
        "All files of the format are needed to tell what is new, changed or gone. This one was not sent, or was not "
        "sent again with the others.",
        "Check in your SIS that the export creates all files, each under its own name (capital letters make no "
        "difference); a file without records still needs its first line with the column names. " + _AGAIN_FILES,
    ),
    Entry(
        "file_duplicate",
        Severity.FILE_ERROR,
        "A file was sent twice",
        "Two files have the same name (capital letters, and spaces at the ends, make no difference), or a zip file was "
        "sent along with other files. We can't tell which one counts.",
        "Remove the wrong file from the folder, and let the export in your SIS write each file under one name only, "
        "and either a zip file or the files themselves. " + _AGAIN_FILES,
    ),
    Entry(
        "file_empty",
        Severity.FILE_ERROR,
        "The file is empty",
        "The file has nothing in it, not even the first line with the column names.",
        "Check in your SIS that the export of this file finished. If there are no records for it, it must still hold "
        "the line with the column names. " + _AGAIN_FILES,
    ),
    Entry(
        "file_unreadable",
        Severity.FILE_ERROR,
        "The file cannot be read",
        "The file is not a CSV text file. It may be a spreadsheet, a PDF, a compressed file or a web page whose name "
        "was changed.",
        "Set the export in your SIS to CSV (text). If the file was opened in a spreadsheet program, save it there as "
        "CSV UTF-8; changing the name is not enough. If it was downloaded, a web page may have been saved in its "
        "place: sign in and download it again. " + _AGAIN_FILES,
    ),
    Entry(
        "zip_damaged",
        Severity.FILE_ERROR,
        "The zip file is damaged",
        "The zip file cannot be unpacked. It was probably cut short when it was written or sent, or it is packed in an "
        "unusual way.",
        "Have the export create the zip file again, in the ordinary way (Deflate). " + _AGAIN_FILES,
    ),
    Entry(
        "zip_encrypted",
        Severity.FILE_ERROR,
        "The zip file has a password",
        "The zip file is protected by a password, so we can't unpack it.",
        "Switch the password off in the export of your SIS; the files are safe on their way without it. "
        + _AGAIN_FILES,
    ),
    Entry(
        "zip_too_large",
        Severity.FILE_ERROR,
        "The zip file holds too much",
        "A zip file can have at most 64 entries. When unpacked, it can take at most 1 GB, and at most 100 times its "
        "own size.",
        "Have the export put only the files of the format into the zip file, or send them without one. " + _AGAIN_FILES,
    ),
    Entry(
        "zip_path_invalid",
        Severity.FILE_ERROR,
        "The zip file has a file in a wrong place",
        "The files in a zip file can be in one folder or in none. Links, and names that lead outside the zip file, are "
        "not allowed.",
        "Have the export put the files into the zip file without folders, or all in one folder. " + _AGAIN_FILES,
    ),
    Entry(
        "encoding_invalid",
        Severity.FILE_ERROR,
        "The file is not saved as UTF-8",
        "Letters such as é or ñ are stored in an older way that cannot be read safely, so names would be damaged. The "
        "line shown is the first where this was found.",
        "Set the character encoding of the export in your SIS to UTF-8, or save the file as CSV UTF-8. " + _AGAIN_FILES,
    ),
    Entry(
        "separator_invalid",
        Severity.FILE_ERROR,
        "The columns are not separated by commas",
        "The file uses another character between its columns.",
        "Set the separator (also called delimiter) of the export in your SIS to comma. " + _AGAIN_FILES,
    ),
    Entry(
        "header_missing",
        Severity.FILE_ERROR,
        "The first line does not name the columns",
        "The first line has to hold the names of the columns, and this one holds none of them: it may be a title, or "
        "the records may start at once.",
        "Set the export in your SIS to write the column names as the first line, spelled as the file format names "
        "them, and nothing above them: no title, no date, no line such as sep=,. " + _AGAIN_FILES,
    ),
    Entry(
        "column_missing",
        Severity.FILE_ERROR,
        "A required column is missing",
        "The first line of the file does not name a column that every such file must have.",
        "Add the column to the export in your SIS, spelled as shown here, and make sure that the first line of the "
        "file holds the column names. " + _AGAIN_FILES,
    ),
    Entry(
        "column_duplicate",
        Severity.FILE_ERROR,
        "A column appears twice",
        "The first line of the file names the same column more than once, so we can't tell which one counts. Capital "
        "letters, and spaces instead of underscores, make no difference.",
        "Keep each column only once in the export of your SIS. " + _AGAIN_FILES,
    ),
    Entry(
        "columns_invalid",
        Severity.FILE_ERROR,
        "A row has too many or too few cells",
        "The row does not have one cell for each column of the first line, so its values would end up in the wrong "
        "columns. Often a value holds a comma and is not in quotes, or a row was cut short.",
        "Look the row up in your SIS and correct the value, or set the export to put values in double quotes. An empty "
        "value still needs its comma. " + _FOOTER + _AGAIN_FILES,
    ),
    Entry(
        "quotes_invalid",
        Severity.FILE_ERROR,
        "Quotation marks are in the wrong place or not doubled",
        "Double quotes have to enclose a whole value, from its first to its last character, and a double quote inside "
        "such a value has to be written twice. In this row they do not.",
        "Correct the value in your SIS (often a nickname or an inch mark), or set the export to double the quotation "
        "marks inside values. " + _AGAIN_FILES,
    ),
    Entry(
        "line_break_in_cell",
        Severity.FILE_ERROR,
        "A value contains a line break",
        "A value of this row holds a line break, so one row takes several lines. Every row has to be one line.",
        "Look the row up in your SIS and remove the line break from the value; it is often at the end of a name, an "
        "address or a note that was pasted in. " + _AGAIN_FILES,
    ),
    Entry(
        "nul_character",
        Severity.FILE_ERROR,
        "The row holds a character that cannot be stored",
        "The row holds an invisible character (a null character) that no text should have. The file was probably "
        "damaged when it was written or sent.",
        "Export the file again from your SIS. If the error stays, retype this row there. " + _AGAIN_FILES,
    ),
    Entry(
        "id_missing",
        Severity.FILE_ERROR,
        "An ID is missing",
        "The row has an empty cell in an ID column that must be filled in every row. Without it we can't tell the row "
        "from others, and someone could be removed by mistake.",
        "Look the row up in your SIS and fill in the ID of the column shown. If it is not a real record, remove it. "
        + _FOOTER
        + _AGAIN_FILES,
    ),
)

_ERRORS = (
    Entry(
        "teacher_email_missing",
        Severity.ERROR,
        "Teacher{| or staff member} without an email address",
        "The {teacher|person} has no email address. {Teachers|Teachers and staff} sign in with it, so no account can "
        "be created.",
        "Enter the {teacher|person}'s work email address in <sis><fields employee.email>. " + _AGAIN,
    ),
    Entry(
        "teacher_email_invalid",
        Severity.ERROR,
        "Teacher's {|or staff member's }email address is not valid",
        "The email address is not one that mail can be sent to. {Teachers|Teachers and staff} sign in with it, so no "
        "account can be created.",
        "Correct the {teacher|person}'s email address in <sis><fields employee.email>: one address, with an @ and no "
        "spaces. " + _AGAIN,
    ),
    Entry(
        "teacher_email_taken",
        Severity.ERROR,
        "Teacher's {|or staff member's }email address is in use by someone else",
        "Another account has this email address already, or another person of the district has it in the {files|data}. "
        "No two accounts can share one.",
        "Give the {teacher|person} an email address of their own in <sis><fields employee.email>. If one person is in "
        "it twice, {with two teacher IDs|as two users}, keep one of them. " + _AGAIN,
    ),
    Entry(
        "name_missing",
        Severity.ERROR,
        "Name is missing",
        "A teacher{|, staff member} or student needs a first and a last name, a guardian at least one of the two. "
        "Without it no account can be created.",
        "Fill in the name in <sis><fields employee.first_name employee.last_name student.first_name student.last_name "
        "guardian.first_name guardian.last_name>. " + _AGAIN,
    ),
    Entry(
        "guardian_unreachable",
        Severity.ERROR,
        "Guardian has no email or phone",
        "The guardian has neither a phone number nor an email address that can be used, so no account can be created. "
        "An email address that is not valid, or that belongs to someone else, does not count.",
        "Enter an email address or phone number that only this guardian has in <sis><fields guardian.email "
        "guardian.phone>. Teachers who are parents need a phone or a second address as guardians. " + _AGAIN,
    ),
    Entry(
        "id_shared",
        Severity.ERROR,
        "Two people have the same ID",
        "{Rows|Records} with the same ID differ in both names, in the date of birth and a name or email address, or "
        "are about twins, so they are about different people. None of them can be created, because we can't tell whose "
        "ID it is.",
        "Give each person an ID of their own in <sis><fields employee.external_id student.external_id>. If it is one "
        "person, make the names and the date of birth the same in all {rows|records}. " + _AGAIN,
        is_about_rows=True,
    ),
    Entry(
        "school_unknown",
        Severity.ERROR,
        "{School is not in <file school>|Record without a school}",
        "The {row names a school ID that <file school> does not have|record names no school}, so we can't tell where "
        "the person or class belongs.",
        "{Correct the school of the record in your SIS<fields employee.school_id student.school_id class.school_id>, "
        "or add the school to <file school>. Capital letters and leading zeros have to be the same in both.|Assign the "
        "person or <class> to a school in <sis>.} " + _AGAIN,
    ),
    Entry(
        "class_name_missing",
        Severity.ERROR,
        "Class without a name",
        "The <class> has no name, so {it|its class} cannot be created.",
        "Enter a name for the <class> in <sis><fields class.name>. " + _AGAIN,
    ),
    Entry(
        "class_teacher_unknown",
        Severity.ERROR,
        "Class without a known teacher",
        "{None of the teacher IDs named for this class is in <file employee>|The <class> has no teacher, or none of "
        "its teachers is shared}, so no one could lead the class and it cannot be created.",
        "Assign a teacher to the <class> in <sis><fields class.teacher_id enrollment.external_id>, or make sure that "
        "the teacher is {in <file employee>|shared}. " + _AGAIN,
    ),
    Entry(
        "class_in_two_schools",
        Severity.ERROR,
        "Class is listed under two schools",
        "The same class{ ID|} appears under more than one school. A class belongs to one school only, so it cannot be "
        "created.",
        "Give each school's class an ID of its own in <sis>, or correct the school<fields class.external_id "
        "class.school_id>. " + _AGAIN,
        is_about_rows=True,
    ),
    Entry(
        "enrollment_class_unknown",
        Severity.ERROR,
        "Enrollment in an unknown class",
        "{The row enrolls someone in a class ID that <file class> does not have|Someone is enrolled in a <class> that "
        "does not exist}, so they cannot be added to the class. Anyone already in a class stays there.",
        "Correct the class of the enrollment in <sis><fields enrollment.class_id>, or make sure that the class is {in "
        "<file class>|shared}. " + _AGAIN,
    ),
    Entry(
        "enrollment_student_unknown",
        Severity.ERROR,
        "Enrollment of an unknown person",
        "{The row enrolls an ID that neither <file student> nor <file employee> has|Someone is enrolled who does not "
        "exist}, so no one can be added to the class. Anyone already in the class stays there.",
        "Correct the person of the enrollment in <sis><fields enrollment.external_id>, or make sure that the person is "
        "{in <file student> or <file employee>|shared}. " + _AGAIN,
    ),
)

_ALERTS = (
    Entry(
        "record_not_shared",
        Severity.ALERT,
        "Record refers to one that is not shared",
        "The record names a school or student, as shown, that {is not in the files|the district does not share with "
        "us}. Everything else of the record was used, and nothing was removed for it.",
        "If the school or student should be here, {add them to the export in your SIS|share them in <source>, or "
        "correct the record in <sis>}. Otherwise, no action is needed. " + _AGAIN,
    ),
    Entry(
        "email_shared",
        Severity.ALERT,
        "Email address is shared by many guardians",
        "More than three guardians with different names have the same email address, so it is probably a placeholder "
        "or the school's own. The guardian is set up without it.",
        "Enter the guardian's own email address in <sis>, or leave it empty<fields guardian.email>. " + _AGAIN,
    ),
    Entry(
        "duplicate_conflict",
        Severity.ALERT,
        "{Rows with the same ID|Records of the same person} say different things",
        "{This ID appears in several rows that differ in the columns shown|Several records are about one person and "
        "differ in the fields shown}. One of the values was chosen, and it may not be the right one.",
        "Make the values of the {columns shown the same in all rows of this ID in your SIS|fields shown the same in "
        "all records of this person in <sis>}. " + _AGAIN,
        is_about_rows=True,
    ),
    Entry(
        "invisible_character",
        Severity.ALERT,
        "Name or ID holds an invisible character",
        "A name or ID contains an invisible character, as shown, often pasted in from a web page or a PDF. It looks "
        "like another name or ID, but it is not the same.",
        "Retype the name or ID shown in <sis>. Do not paste it. " + _AGAIN,
    ),
    Entry(
        "name_damaged",
        Severity.ALERT,
        "Name has damaged letters",
        "The name, as shown, holds letters that were damaged on the way, such as Ã± in place of ñ, &eacute; in place "
        "of é, or a black diamond with a question mark.",
        "Retype the name in <sis>{, or set the character encoding of its export to UTF-8|}. " + _AGAIN,
    ),
    Entry(
        "placeholder_value",
        Severity.ALERT,
        "A placeholder is in place of a value",
        "The field shown holds a word that people type when they have no value, such as N/A or 0. It was not used as "
        "an ID. It was used as a name, except for guardians.",
        "Enter the value in <sis>, or leave it empty. " + _AGAIN,
    ),
    Entry(
        "date_order_unclear",
        Severity.ALERT,
        "Dates of birth can be read in two ways",
        "Some dates of this {column|field} have the month first and others the day, so we can't tell which is which in "
        "dates such as 3/4/2014. Those were not used; students keep the date they had.",
        "Set the date format {of the export |}in <sis> to year-month-day, such as 2014-04-03. " + _AGAIN,
    ),
    Entry(
        "duplicate_row",
        Severity.ALERT,
        "The same {row|record} appears twice",
        "The {row|record} is the same as an earlier {row of the file|one}. It was used once, and nothing is lost.",
        "Check in <sis> whether the record was entered twice{, and whether the export lists it twice|}. " + _AGAIN,
    ),
    Entry(
        "student_unreachable",
        Severity.ALERT,
        "No contact information for this student",
        "Neither the student nor any of their guardians has an email address or phone number that can be used, so "
        "messages about the student reach no one.",
        "Enter an email address or phone number for a guardian {or the student in your SIS<fields guardian.email "
        "guardian.phone student.email student.phone>|(contact), or an email address for the student, in <sis>}. "
        + _AGAIN,
    ),
    Entry(
        "student_without_guardian",
        Severity.ALERT,
        "Student without a guardian",
        "No guardian is given for the student, so no family member is connected.",
        "Add a guardian{| (contact)} with a name, and an email address or phone number, in <sis><fields "
        "guardian.first_name guardian.last_name guardian.email guardian.phone>{|, and make sure that contacts are "
        "shared}. " + _AGAIN,
    ),
    Entry(
        "email_invalid",
        Severity.ALERT,
        "Email address is not valid",
        "The email address is not one that mail can be sent to, so it was not used. If the person had one before, that "
        "one stays.",
        "Correct the email address in <sis>, or leave it empty: one address, with an @ and no spaces<fields "
        "employee.email student.email guardian.email>. " + _AGAIN,
    ),
    Entry(
        "email_taken",
        Severity.ALERT,
        "Email address is in use by someone else",
        "Another account has this email address already, or another person of the district has it in the {files|data}. "
        "No two accounts can share one, so the person is set up without it.",
        "Enter an email address that only this person has in <sis>, or leave it empty<fields student.email "
        "guardian.email>. Teachers who are parents need a phone or a second address as guardians. " + _AGAIN,
    ),
    Entry(
        "phone_invalid",
        Severity.ALERT,
        "Phone number is not valid",
        "What is in place of a phone number cannot be called, so it was not used. If the person had a "
        "number before, that one stays. Of several numbers in one place only the first is used.",
        "Enter one phone number in <sis>, with its area code and no words, or leave it empty<fields "
        "employee.phone student.phone guardian.phone>. " + _AGAIN,
    ),
    Entry(
        "birth_date_invalid",
        Severity.ALERT,
        "Date of birth is not valid",
        "The date of birth is not a date that can be read, or not a possible one, so it was not used. If the student "
        "had one before, that one stays. It helps to tell students apart.",
        "Correct the date of birth in <sis>{, such as 2014-09-03 or 9/3/2014|, such as 9/3/2014}<fields "
        "student.birth_date>. " + _AGAIN,
    ),
    Entry(
        "birth_date_missing",
        Severity.ALERT,
        "Date of birth is missing",
        "The student has no date of birth. It helps to tell students apart.",
        "Enter the student's date of birth in <sis><fields student.birth_date>. " + _AGAIN,
    ),
    Entry(
        "grade_unknown",
        Severity.ALERT,
        "Grade not recognized",
        "We don't recognize the grade, so it was not used. If the student had one before, that one stays.",
        "Correct the grade in <sis>: a number from 1 to 13, {K for kindergarten, PK or TK before it|Kindergarten or "
        "what precedes it, or PostGraduate}<fields student.grade>. " + _AGAIN,
    ),
    Entry(
        "student_without_class",
        Severity.ALERT,
        "Student without a class",
        "The student has an account, but isn't enrolled in a class.",
        "Enroll the student in their <classes> in <sis>{ (<file enrollment>)|}, or check that {the export covers the "
        "current term|the <classes> of the current term are shared}. " + _AGAIN,
    ),
    Entry(
        "class_without_students",
        Severity.ALERT,
        "Class without students",
        "The class is created, but no student is enrolled in it.",
        "Enroll the students in <sis>{ (<file enrollment>)|}, or remove the <class> if it is not being taught. "
        + _AGAIN,
    ),
    Entry(
        "teacher_without_class",
        Severity.ALERT,
        "Teacher without a class",
        "The teacher has an account, but isn't assigned to a class.",
        "Assign the teacher to their <classes> in <sis><fields class.teacher_id enrollment.external_id>. If they teach "
        "none, no action is needed. " + _AGAIN,
    ),
    Entry(
        "co_teacher_unknown",
        Severity.ALERT,
        "Co-teacher not found",
        "One of the {teacher IDs of this class is not in <file employee>|<class>'s teachers is not shared}. The class "
        "is led by its other teachers.",
        "Correct the teacher in <sis><fields class.teacher_id>, or make sure that the teacher is {in <file "
        "employee>|shared}. " + _AGAIN,
    ),
    Entry(
        "class_teacher_other_school",
        Severity.ALERT,
        "Teacher is not listed at the class's school",
        "The teacher leads the class, but {<file employee> does not list them|is not} at the <class>'s school.",
        "{Add a row for the teacher at this school in your SIS, or correct the school of the class<fields "
        "employee.school_id class.school_id>|Add the school to the teacher's schools in <sis>, or correct the school "
        "of the <class>}. " + _AGAIN,
    ),
    Entry(
        "enrollment_ambiguous",
        Severity.ALERT,
        "A student and a teacher of the class have the same ID",
        "The ID of this enrollment is a student's who is in the class already, and also that of a teacher whom {<file "
        "class> names for it|the <class> names}. The student stays in the class.",
        "Give the student or the teacher another ID in <sis>{, the same in all files|}. " + _AGAIN,
    ),
    Entry(
        "enrollment_school_mismatch",
        Severity.ALERT,
        "Enrollment names another school than its class",
        "The school of the enrollment is not the school of its class. The person was added to the class anyway.",
        "Correct the school in <sis>{, or leave it out|}<fields enrollment.school_id>. " + _AGAIN,
    ),
    Entry(
        "enrollment_student_other_school",
        Severity.ALERT,
        "Enrolled student belongs to another school",
        "The student was added to the class, but {<file student> does not list them|is not} at the <class>'s school.",
        "{Add a row for the student at this school in your SIS, or correct the enrollment<fields student.school_id "
        "enrollment.class_id>|Add the school to the student's schools in <sis>, or correct the <class>'s students}. "
        + _AGAIN,
    ),
    Entry(
        "class_name_too_long",
        Severity.ALERT,
        "Class name is too long",
        "A class name can have at most 255 characters. The rest was cut off.",
        "Shorten the name of the <class> in <sis><fields class.name>. " + _AGAIN,
    ),
    Entry(
        "class_name_duplicate",
        Severity.ALERT,
        "Several classes have the same name",
        "Another class of the school has the same name, so people cannot tell them apart.",
        "Add the period, the section or the teacher to the name in <sis><fields class.name>. " + _AGAIN,
    ),
    Entry(
        "guardian_names_differ",
        Severity.ALERT,
        "One guardian has several names",
        "{Rows|Contacts} that are about one guardian, by ID, phone or email address, spell the name differently. One "
        "of the names was chosen.",
        "Spell the guardian's name the same for all their students in <sis>. If they are two people, give each an {ID, "
        "|}email address and phone number of their own<fields guardian.first_name guardian.last_name "
        "guardian.external_id guardian.email guardian.phone>. " + _AGAIN,
    ),
    Entry(
        "guardian_id_shared",
        Severity.ALERT,
        "Several guardians have the same ID",
        "{Rows|Contacts} with the same guardian ID are about different people: their names differ, and so do their "
        "contact details. The ID was not used. Each of them is set up by name, phone and email address.",
        "Give each guardian an ID of their own in <sis><fields guardian.external_id>{, or leave it empty|}. If they "
        "are one person, spell the name and enter the phone number the same everywhere. " + _AGAIN,
    ),
    Entry(
        "former_school_unknown",
        Severity.ALERT,
        "{Person's school is no longer in <file school>|Person is no longer in any school}",
        "The person has an account at this school, but {the only school that the files name for them is not in <file "
        "school>|<source> names no school for them}. The account stays as it is.",
        "If the person has left, for example by graduating, leave them out of {the export in your SIS|what you share "
        "in <source>}: that removes the account. If not, {correct their school in your SIS<fields employee.school_id "
        "student.school_id>, or add it to <file school>. Capital letters and leading zeros have to be the same in "
        "both|assign them to a school in <sis>}. " + _AGAIN,
    ),
    Entry(
        "school_empty",
        Severity.ALERT,
        "School without any records",
        "{<file school> names the school, but no row of any other file does|<source> has the school, but no students, "
        "teachers or <classes> of it}, so nothing can be set up there.",
        "Make sure that the {export in your SIS covers this school|school's records are shared in <source>, and "
        "correct it in <sis>}. If it has no students and teachers yet, no action is needed. " + _AGAIN,
    ),
    Entry(
        "school_name_too_long",
        Severity.ALERT,
        "School name is too long",
        "A school name can have at most 60 characters. The rest was cut off.",
        "Shorten the name of the school in <sis><fields school.name>. " + _AGAIN,
    ),
    Entry(
        "school_name_missing",
        Severity.ALERT,
        "School without a name",
        "The school has no name{ in <file school>|}. The school still syncs.",
        "Enter the name of the school in <sis><fields school.name>. " + _AGAIN,
    ),
)

_HOLDS = (
    Entry(
        "data_removals",
        Severity.HOLD,
        "Many people or classes would be removed",
        "The {files|data} no longer have a large part of what the school, or the whole district, had. "
        "That is expected at the end of a semester or year; otherwise records are {missing from the export|no longer "
        "shared}, or their IDs were changed. Nothing at the school was changed.",
        "Download the list of removals. If it is right, confirm the removals. If not, correct the data in <sis>: look "
        "for records left out, and for changed IDs. " + _AGAIN,
    ),
    Entry(
        "school_missing",
        Severity.HOLD,
        "The school is missing from the {files|data}",
        "{<file school> does not have the school's ID|<source> does not give us the school}, so everyone at the school "
        "would be removed. Nothing at the school was changed.",
        "Check {in your SIS that the export covers this school, under the same ID as before<fields "
        "school.external_id>|in <source> that this school is shared, and that it is the same school there as before; "
        "correct it in <sis>}. {"
        + _AGAIN_FILES
        + " |}If the school has closed, confirm the removals.{| "
        + _AGAIN_RECORDS
        + "}",
    ),
    Entry(
        "unusual_changes",
        Severity.HOLD,
        "Many people would change at once",
        "A large part of the school's people would get another last name, email address or phone number, or no one "
        "would have one (or a birth date or grade) anymore, or many guardians would be added to students who are here "
        "already. Typical causes are {columns that shifted or changed places|values that shifted}, a new email "
        "domain, guardians entered twice, or IDs given to other people. Nothing at the school was changed.",
        "Download the list of changes, which shows the old and the new values. If it is right, confirm the changes. If "
        "not, correct the data in <sis>{, or the settings of its export|}. " + _AGAIN,
    ),
    Entry(
        "too_many_guardians",
        Severity.HOLD,
        "A student has six or more guardians",
        "At least one student would have six or more guardian accounts. Often contacts who aren't guardians are "
        "{exported|shared} as such, or one guardian is entered several times. Nothing at the school was changed.",
        "Download the list of these students and their guardians. If all of them are right, accept them as they are "
        "(Create accounts): they are set up, and you will not be asked again until the student's guardians change. If "
        "not, remove those who do not belong there in <sis>. " + _AGAIN,
    ),
    Entry(
        "emergency_contacts",
        Severity.HOLD,
        "Emergency contacts are in the {files|data}",
        "Contacts of type emergency or secondary are among the guardians. They would get accounts and the messages "
        "about the student, though many of them are neighbors or relatives. Nothing at the school was changed.",
        "Download the list of contacts. Leave them out (this applies to every school of this source from now on); or "
        "accept them, and they are set up like guardians; or filter these types out in <sis><fields "
        "guardianship.type>. " + _AGAIN,
    ),
    Entry(
        "disconnected",
        Severity.HOLD,
        "The connection to {the drop folder|<source>} is broken",
        "The {folder that the files arrive in can't be reached or read|district's data in <source> can't be reached, "
        "our credentials are rejected, or <source> reports the district as pending or in error}. The school's accounts "
        "stay as they were.",
        "{Check that the drop folder is there and that Rollcall has read access, and that the export in your SIS still "
        "sends to it|If <source> reports an error, <source> has to resolve it, and no action is needed here. Otherwise "
        "check in <source> that our app is still authorized for the district, that the schools are shared and that "
        "nothing is pending, and correct it in <sis>}. Then choose I fixed it, and the data are synced right away. {It "
        "also ends on its own at the next sync that gets through; if files were missed, send the complete set of files "
        "again.|" + _AGAIN_RECORDS + "}",
    ),
    Entry(
        "file_errors",
        Severity.HOLD,
        "The files could not be used",
        "At least one of the district's files has errors that stop the whole delivery, so nothing was changed at any "
        "of its schools.",
        "Open the list of file errors. It shows every bad row and what to correct in your SIS or in the settings of "
        "its export. " + _AGAIN_FILES,
    ),
    Entry(
        "failed_run",
        Severity.HOLD,
        "The sync failed on our side",
        "Something went wrong on our side while the school was being updated. Nothing at the school was changed, and "
        "your data are not the problem.",
        "No action is needed. Our team has been notified, and the next successful sync ends the hold.",
    ),
    Entry(
        "stale",
        Severity.HOLD,
        "No {files|data} for 90 days",
        "We have received no {files|data} for 90 days, so the school's accounts no longer match its records.",
        "Check that {the export in your SIS still runs and still has access to the folder it sends to|the data still "
        "reach <source>, and correct it in <sis>}. {Export and send the complete set of files again.|"
        + _AGAIN_RECORDS
        + "}",
    ),
)


def _worded(entry: Entry, form: Format) -> Entry:
    """The entry in a format's words."""

    def word(found: re.Match[str]) -> str:
        match found[1].split():
            case ["fields", *fields]:
                columns = form.columns_of(
                    [(whose, name) for whose, _, name in (each.partition(".") for each in fields)]
                )
                return f" ({columns})" if columns else ""
            case ["file", whose]:
                return form.file_of(whose)
            case [noun]:
                return form.words[noun]
        raise ValueError(f"{entry.code} has a placeholder of no known kind")

    def worded(text: str) -> str:
        chosen = _CHOICE.sub(lambda found: found[2 if form.source_name else 1], text)
        return _WORD.sub(word, chosen)

    return replace(entry, title=worded(entry.title), meaning=worded(entry.meaning), remedy=worded(entry.remedy))


@cache
def catalogue(form: str = DEFAULT_FORMAT) -> Mapping[str, Entry]:
    """The entries by code, in the words of a format.

    Raises KeyError for a format that is none of FORMATS.
    """
    entries = (*_FILE_ERRORS, *_ERRORS, *_ALERTS, *_HOLDS)
    return MappingProxyType({entry.code: _worded(entry, FORMATS[form]) for entry in entries})


# What is the same in every format's words: codes and severities.
CATALOGUE: Final[Mapping[str, Entry]] = MappingProxyType(
    {entry.code: entry for entry in (*_FILE_ERRORS, *_ERRORS, *_ALERTS, *_HOLDS)}
)


def message(code: str, detail: str | None = None, form: str = DEFAULT_FORMAT) -> str:
    """One sentence: the entry's title, and the detail if any (columns, counts; never a value).

    Raises KeyError for a code that is not in the catalogue.
    """
    title = catalogue(form)[code].title
    return f"{title}: {detail}." if detail else f"{title}."


def with_catalogue(issues: pl.DataFrame, form: str | pl.Expr = DEFAULT_FORMAT) -> pl.DataFrame:
    """Add the severity and the message of each issue.

    Args:
        issues: any frame with the columns code and detail (String).
        form: the name of the format of all of them, or an expression of the format of each.

    Returns:
        The frame, in its order, with the columns severity and message (String) added.

    Raises:
        KeyError: a code is not in the catalogue.
    """
    unknown = sorted(set(issues["code"].unique()) - CATALOGUE.keys())
    if unknown:
        raise KeyError(f"not in the catalogue: {', '.join(map(str, unknown))}")
    severities = {code: str(entry.severity) for code, entry in CATALOGUE.items()}
    by_form = issues.with_columns(_form=pl.lit(form) if isinstance(form, str) else form)
    titles = pl.DataFrame(
        [(each, code, entry.title) for each in by_form["_form"].unique() for code, entry in catalogue(each).items()],
        schema={"_form": pl.String, "code": pl.String, "_title": pl.String},
        orient="row",
    )
    detail = pl.col("detail")
    return (
        by_form.join(titles, on=["_form", "code"], how="left", maintain_order="left")
        .with_columns(
            severity=pl.col("code").replace_strict(severities, return_dtype=pl.String),
            message=pl.when(detail.fill_null("") == "")
            .then(pl.format("{}.", "_title"))
            .otherwise(pl.format("{}: {}.", "_title", detail)),
        )
        .drop("_form", "_title")
    )
