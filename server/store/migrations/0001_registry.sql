-- The registry. What nothing queries is kept as the JSON of the api's type ("info", "config", "progress"):
-- one source of truth for its fields, and the page reads it back as it was written.
-- Times are seconds since 1970, leases milliseconds since 1970.

-- Models and corpora are named by their users. The hash is a column of its own because a name may only ever
-- stand for one content: results are compared by name.
create table model (
    id      text    not null primary key,
    hash    text    not null,
    info    text    not null,
    created integer not null
) strict;

create table corpus (
    id      text    not null primary key,
    hash    text    not null,
    info    text    not null,
    created integer not null
) strict;

-- Jobs. Numbers are never used twice (autoincrement), because folders and links carry them.
-- A running job has an owner and a lease; a lease that has run out may be taken over by anyone.
-- "revision" is the value of revision.jobs at the row's last change, kept by the triggers below.
create table job (
    id               integer not null primary key autoincrement,
    sweep            integer not null,
    model            text    not null references model (id),
    corpus           text    not null references corpus (id),
    config           text    not null,
    command          text    not null,
    state            text    not null check (state in ('queued', 'running', 'done', 'failed', 'cancelled')),
    progress         text    not null,
    error            text,
    owner            text,
    lease_until      integer,
    cancel_requested integer not null default 0 check (cancel_requested in (0, 1)),
    created          integer not null,
    started          integer,
    finished         integer,
    revision         integer not null default 0,
    check ((state = 'running') = (owner is not null)),
    check ((state = 'running') = (lease_until is not null))
) strict;

create index job_by_state on job (state, id);
create index job_by_revision on job (revision);

-- The curves: one row per point, numbered from 0 without gaps, so that a reader can ask for what it has not seen yet.
create table history (
    job      integer not null references job (id) on delete cascade,
    position integer not null,
    step     integer not null,
    point    text    not null,
    primary key (job, position)
) strict, without rowid;

-- Dictionaries; the weights of dictionary 7 are the file dictionaries/7.safetensors. "info" holds neither the number, the
-- checksum nor the metrics: those have their own columns. "position" is the index into the job's config,
-- set when the job is done.
create table dictionary (
    id       integer not null primary key autoincrement,
    job      integer not null references job (id),
    position integer,
    model    text    not null references model (id),
    corpus   text    not null references corpus (id),
    info     text    not null,
    checksum text    not null,
    created  integer not null,
    measured integer,
    unique (job, position)
) strict;

-- Measurements, in the order in which they were given.
create table metric (
    dictionary integer not null references dictionary (id) on delete cascade,
    position   integer not null,
    name       text    not null,
    version    integer not null,
    at         text,
    tokens     text    not null check (tokens in ('ordinary', 'position_zero', 'special')),
    n_tokens   integer not null,
    value      real    not null,
    primary key (dictionary, position)
) strict, without rowid;

-- What changed, as three counters in one row: a page's event stream asks for them a few times a second, and sees
-- what other processes did, too. The triggers keep them, so that no statement can forget to.
create table revision (
    one      integer not null primary key check (one = 1),
    registry integer not null default 0,
    jobs     integer not null default 0,
    history  integer not null default 0
) strict;

insert into revision (one) values (1);

create trigger model_added after insert on model begin
    update revision set registry = registry + 1;
end;

create trigger model_changed after update on model begin
    update revision set registry = registry + 1;
end;

create trigger corpus_added after insert on corpus begin
    update revision set registry = registry + 1;
end;

create trigger corpus_changed after update on corpus begin
    update revision set registry = registry + 1;
end;

create trigger dictionary_added after insert on dictionary begin
    update revision set registry = registry + 1;
end;

-- A new set of metrics updates "measured", so this trigger stands for the metrics, too.
create trigger dictionary_changed after update on dictionary begin
    update revision set registry = registry + 1;
end;

create trigger job_added after insert on job begin
    update revision set jobs = jobs + 1;
    update job set revision = (select jobs from revision) where id = new.id;
end;

-- The columns are listed so that setting "revision" does not count as a change.
create trigger job_changed
after update of sweep, state, progress, error, owner, cancel_requested, started, finished on job begin
    update revision set jobs = jobs + 1;
    update job set revision = (select jobs from revision) where id = new.id;
end;

create trigger history_added after insert on history begin
    update revision set history = history + 1;
end;

create trigger history_removed after delete on history begin
    update revision set history = history + 1;
end;
