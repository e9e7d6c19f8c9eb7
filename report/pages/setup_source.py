"""From nothing to a started sync: choose a source, connect it, match its schools, see what would happen, start."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.datastructures import UploadFile

from contracts.formats import DEFAULT_FORMAT, FORMATS, file_formats
from errors import DataError, NotFound, NotPossible, RollcallError, SetupError, SourceRefused, SourceUnreachable
from models.tables import School, Source
from report.routing import Answer, Asked, Page, Redirect, Scope, get, post, upload
from report.sources import FORMS, Place, adapter_for, address_of
from services.access.audit import Action
from services.districts import find_school
from services.intake.adapters import SourceAdapter, SourceSchool
from services.intake.adapters.csv_drop_folder import schools_of
from services.operations import district_setup
from services.operations.matching import Ours, propose
from services.sync.preview import Look, SyncPreview, look, preview_in_numbers

SETUP = "/districts/{district}/setup"
SOURCE = SETUP + "/sources/{source}"
REFUSED = "refused: the source doesn't list them as an administrator"
UNPROVEN = "refused: the source couldn't be asked for its administrators"
WAIT = 1.5  # seconds a page waits for a source before it says that it is still reading
LONGEST = 20.0  # seconds a form waits for what a source says of whoever sends it
MANY = 200  # schools, from which on they are typed rather than chosen


@get(f"{SETUP}/new", Scope.DISTRICT)
def choose(asked: Asked) -> Answer:
    """Where the data are to come from."""
    return _page("setup/choose.html", step=1, kinds=list(FORMS))


@get(f"{SETUP}/new/{{kind}}", Scope.DISTRICT)
def begin(asked: Asked) -> Answer:
    """What is needed for this kind of source."""
    return _form(asked, _kind(asked), None, {})


def _may_create(asked: Asked) -> Answer | None:
    return _refused(asked, _kind(asked), None)


def _may_change(asked: Asked) -> Answer | None:
    source = _draft(asked)
    return _refused(asked, source.kind, source)


@post(f"{SETUP}/new/{{kind}}", Scope.DISTRICT, Action.SETUP_CHANGED, first=_may_create)
def create(asked: Asked) -> Answer:
    """Set the source up; nothing is synced yet."""
    return _set_up(asked, _kind(asked), None)


@get(SOURCE, Scope.DISTRICT)
def connect(asked: Asked) -> Answer:
    """How the source stands: where to send, or what the other side answers."""
    source = _source(asked)
    form = FORMATS[source.format]
    return _page(
        "setup/connect.html",
        step=2,
        source=source,
        address=address_of(asked.report.settings, source, for_operator=asked.viewer.is_operator),
        format=form,
        is_draft=_is_draft(source),
        **_looked(asked, source),
    )


@get(f"{SOURCE}/change", Scope.DISTRICT)
def change(asked: Asked) -> Answer:
    """The form of a source that is not started."""
    source = _draft(asked)
    return _form(asked, source.kind, source, source.settings)


@post(f"{SOURCE}/change", Scope.DISTRICT, Action.SETUP_CHANGED, first=_may_change)
def save_change(asked: Asked) -> Answer:
    """Change a source that is not started."""
    source = _draft(asked)
    return _set_up(asked, source.kind, source)


@get(f"{SOURCE}/remove", Scope.DISTRICT)
def remove(asked: Asked) -> Answer:
    """What removing a source that is not started means."""
    return _page("setup/remove.html", source=_draft(asked))


@post(f"{SOURCE}/remove", Scope.DISTRICT, Action.SETUP_CHANGED)
def save_remove(asked: Asked) -> Answer:
    """Forget a source that is not started."""
    source = _source(asked)
    _note(asked, source, "source removed")
    district_setup.discard_source(asked.session, asked.district.id, source.key, now=asked.now)
    _forget(asked, source)
    return Redirect(f"{_setup(asked)}?said=removed")


@post(f"{SOURCE}/look", Scope.DISTRICT, Action.SETUP_CHANGED)
def look_again(asked: Asked) -> Answer:
    """Ask the source again."""
    source = _source(asked)
    _note(asked, source, "looked again")
    _forget(asked, source)
    page = asked.field("page")
    return Redirect(f"{_base(asked, source)}{f'/{page}' if page in ('schools', 'preview') else ''}")


@get(f"{SOURCE}/schools", Scope.DISTRICT)
def schools(asked: Asked) -> Answer:
    """Which school of the source is which of ours: proposals, each to be confirmed."""
    source = _source(asked)
    return _schools(asked, source, _looked(asked, source))


@upload(f"{SOURCE}/schools/file", Scope.DISTRICT, Action.FILES_CHECKED)
def schools_of_file(asked: Asked) -> Answer:
    """The same, with the schools of a file that is uploaded and not kept."""
    source = _source(asked)
    form = FORMATS[source.format]
    files = [file for file in asked.form.getlist("file") if isinstance(file, UploadFile) and file.filename]
    found: tuple[SourceSchool, ...] = ()
    if form.source_name is None and files:
        try:
            found = schools_of(form, {form.file_of("school"): files[0].file.read()})
        except DataError:
            found = ()
    asked.detail = f"{len(found)} schools"
    if not found:
        return _schools(asked, source, _looked(asked, source), problem="file")
    return _schools(asked, source, {"look": Look(True, "", None, found), "problem": None, "is_looking": False})


@post(f"{SOURCE}/schools", Scope.DISTRICT, Action.SETUP_CHANGED)
def match(asked: Asked) -> Answer:
    """Match the schools that were confirmed."""
    source = _source(asked)
    chosen = {key: asked.field(f"match.{key}") for key in asked.fields("confirm")}
    wanted = {key: value for key, value in chosen.items() if value}
    if not wanted:
        return _schools(asked, source, _looked(asked, source), problem="none")
    try:
        matched = district_setup.match_schools(asked.session, asked.district.id, source.key, wanted, now=asked.now)
    except SetupError as error:
        return _schools(asked, source, _looked(asked, source), problem="other", message=error.message)
    _note(asked, source, f"{len(matched)} schools matched")
    asked.report.looks.forget(("preview", source.id))
    left = district_setup.setup_of(asked.session, asked.district).unmatched
    return Redirect(f"{_base(asked, source)}/{'schools' if left else 'preview'}?said=matched")


@get(f"{SETUP}/schools/{{key}}/unmatch", Scope.DISTRICT)
def unmatch(asked: Asked) -> Answer:
    """What it means that a school is no longer matched."""
    return _page("setup/unmatch.html", subject=_matched(asked))


@post(f"{SETUP}/schools/{{key}}/unmatch", Scope.DISTRICT, Action.SETUP_CHANGED)
def save_unmatch(asked: Asked) -> Answer:
    """Take back what a school was matched with."""
    school = district_setup.unmatch_school(asked.session, asked.district.id, asked.part["key"], now=asked.now)
    asked.about, asked.detail = school.id, "school no longer matched"
    return Redirect(f"{_setup(asked)}?said=unmatched")


@get(f"{SOURCE}/preview", Scope.DISTRICT)
def preview(asked: Asked) -> Answer:
    """What the first sync would do, school by school."""
    source = _source(asked)
    found: SyncPreview | None = None
    problem, is_looking = None, False
    try:
        found = _run(asked, "preview", source)
    except TimeoutError:
        is_looking = True
    except RollcallError as error:
        problem = _in_words(error)
    setup = district_setup.setup_of(asked.session, asked.district)
    return _page(
        "setup/preview.html",
        step=4,
        source=source,
        format=FORMATS[source.format],
        found=found,
        names={each.id: each for of in setup.sources for each in of.schools},
        problem=problem,
        is_looking=is_looking,
        is_draft=_is_draft(source),
        has_schools=any(of.source.id == source.id and of.schools for of in setup.sources),
    )


@post(f"{SOURCE}/start", Scope.DISTRICT, Action.SYNC_STARTED)
def start(asked: Asked) -> Answer:
    """Have the schools synced from now on, the first time at once."""
    source, district_id = _source(asked), asked.district.id
    district_setup.start_source(asked.session, district_id, source.key, now=asked.now)
    _note(asked, source, "first sync started")
    _forget(asked, source)
    asked.afterwards(lambda: asked.report.start(district_id, None))
    return Redirect(f"{_setup(asked)}?said=started")


def _schools(
    asked: Asked, source: Source, looked: dict[str, Any], *, problem: str | None = None, message: str | None = None
) -> Page:
    setup = district_setup.setup_of(asked.session, asked.district)
    matched = [each for of in setup.sources if of.source.id == source.id for each in of.schools]
    taken = {each.external_id for each in matched}
    answer: Look | None = looked["look"]
    theirs = [each for each in (answer.schools if answer is not None else ()) if each.external_id not in taken]
    ours = [Ours(each.id, each.name, each.key) for each in setup.unmatched]
    chosen = {each.id: asked.field(f"match.{each.key}") for each in setup.unmatched}
    return _page(
        "setup/schools.html",
        is_valid=problem is None,
        step=3,
        source=source,
        format=FORMATS[source.format],
        unmatched=setup.unmatched,
        matched=matched,
        theirs=theirs,
        proposals=propose(ours, theirs),
        chosen=chosen,
        confirmed=asked.fields("confirm"),
        are_all_taken=answer is not None and bool(answer.schools) and not theirs,
        is_typed=len(theirs) > MANY,
        wrong=problem,
        message=message,
        is_draft=_is_draft(source),
        **looked,
    )


def _looked(asked: Asked, source: Source) -> dict[str, Any]:
    """What the source answered: look, or the problem, or that it is still being asked."""
    try:
        return {"look": _run(asked, "look", source), "problem": None, "is_looking": False}
    except TimeoutError:
        return {"look": None, "problem": None, "is_looking": True}
    except RollcallError as error:
        return {"look": None, "problem": _in_words(error), "is_looking": False}


def _in_words(error: RollcallError) -> str:
    """Which words say it: a source that refuses us has its own. What else went wrong names folders and settings."""
    if isinstance(error, SourceRefused):
        return "refused"
    return error.message if isinstance(error, NotPossible) else "unreachable"


def _run(asked: Asked, what: str, source: Source) -> Any:
    report = asked.report
    adapter: SourceAdapter = adapter_for(report.settings, source.kind)

    def looking() -> Look | SyncPreview:
        with report.database.reading() as session:
            if what == "look":
                return look(session, source, adapter)
            return preview_in_numbers(
                session,
                source,
                landing=report.settings.landing_area,
                adapter=adapter,
                id_secret=report.settings.hashing_secret,
            )

    return report.looks.get((what, source.id), looking, wait=WAIT)


def _forget(asked: Asked, source: Source) -> None:
    for what in ("look", "preview"):
        asked.report.looks.forget((what, source.id))


def _wanted(asked: Asked, kind: str, held: Source | None) -> tuple[str, Mapping[str, Any]]:
    """The key of the source that the form sets up, and what a setup file would say of it."""
    setup = district_setup.setup_of(asked.session, asked.district)
    is_first = not any(each.source.kind == kind and each.source != held for each in setup.sources)
    key = held.key if held is not None else district_setup.free_key(asked.session, asked.district.id, kind)
    return key, FORMS[kind].values(asked.report.settings, Place(asked.district.id, key, is_first), asked.field)


def _refused(asked: Asked, kind: str, held: Source | None) -> Answer | None:
    """The form with why it is refused, if the source doesn't say that its data are the viewer's to connect.

    Rule: nothing of the source is shown to somebody else, not even whether a sync uses it.
    """
    if asked.viewer.is_operator:
        return None
    key, values = _wanted(asked, kind, held)
    try:
        settings = district_setup.entry_of(key, values).settings
    except SetupError:
        return None  # the handler says it
    try:
        if _is_theirs(asked, kind, settings):
            return None
    except RollcallError as error:
        asked.detail = UNPROVEN
        return _form(asked, kind, held, values, cannot=_in_words(error))
    asked.detail = REFUSED
    return _form(asked, kind, held, values, is_refused=True)


def _is_theirs(asked: Asked, kind: str, settings: Mapping[str, Any]) -> bool:
    """Ask the source now; nothing that it said before counts.

    Raises:
        SourceUnreachable, SourceRefused, NotPossible: it can't be asked.
    """
    report, email = asked.report, asked.viewer.name
    adapter = adapter_for(report.settings, kind)
    asked.let_go()
    key = ("administrators", kind, adapter.location_of(settings), email)
    try:
        return bool(report.looks.get(key, lambda: adapter.may_be_set_up_by(settings, email), wait=LONGEST))
    except TimeoutError:
        raise SourceUnreachable("the source is slow to answer") from None
    finally:
        report.looks.forget(key)


def _set_up(asked: Asked, kind: str, held: Source | None) -> Answer:
    _, values = _wanted(asked, kind, held)
    try:
        source = district_setup.set_up_source(
            asked.session,
            asked.district.id,
            values,
            key=held.key if held is not None else None,
            labels=FORMS[kind].labels,
        )
    except SetupError as error:
        return _form(asked, kind, held, values, error.message)
    FORMS[kind].prepare(source)
    _note(asked, source, "source set up" if held is None else "source changed")
    _forget(asked, source)
    return Redirect(_base(asked, source))


def _form(
    asked: Asked,
    kind: str,
    source: Source | None,
    values: Any,
    problem: str | None = None,
    *,
    cannot: str | None = None,
    is_refused: bool = False,
) -> Page:
    """problem: with what was entered. cannot: why the source couldn't be asked. is_refused: it isn't the viewer's."""
    return _page(
        "setup/form.html",
        is_valid=problem is None and cannot is None and not is_refused,
        step=2,
        kind=kind,
        source=source,
        values=values,
        formats=[FORMATS[name] for name in file_formats()],
        default_format=DEFAULT_FORMAT,
        problem=problem,
        cannot=cannot,
        is_refused=is_refused,
    )


def _kind(asked: Asked) -> str:
    kind = asked.part["kind"]
    if kind not in FORMS:
        raise NotFound("there is no such kind of source")
    return kind


def _source(asked: Asked) -> Source:
    return district_setup.source_for(asked.session, asked.district.id, asked.part["source"])


def _is_draft(source: Source) -> bool:
    return source.in_report and source.frozen


def _draft(asked: Asked) -> Source:
    source = _source(asked)
    if not _is_draft(source):
        raise NotPossible("the sync has started, so its source stays as it is")
    return source


def _matched(asked: Asked) -> School:
    school = find_school(asked.session, asked.district.id, asked.part["key"])
    if school.frozen or not school.matched_in_report:
        raise NotFound("there is no such match")
    return school


def _note(asked: Asked, source: Source, what: str) -> None:
    asked.about, asked.detail = source.id, what


def _setup(asked: Asked) -> str:
    return SETUP.format(district=asked.district.id)


def _base(asked: Asked, source: Source) -> str:
    return SOURCE.format(district=asked.district.id, source=source.key)


def _page(template: str, *, is_valid: bool = True, **values: Any) -> Page:
    """A page of the setup. is_valid: unless a form comes back with what is wrong with it."""
    return Page(template, {"tab": "setup", **values}, block="main", status=200 if is_valid else 422)
