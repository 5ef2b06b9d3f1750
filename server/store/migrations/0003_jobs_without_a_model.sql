-- no-transaction
-- Pretraining needs no model: it makes one. So a job's "model" may be null. SQLite cannot drop a constraint; the table is made
-- anew, as its documentation says (https://www.sqlite.org/lang_altertable.html, section 7). Foreign keys are off meanwhile, or
-- dropping the old table would take the curves with it, and that cannot be switched inside a transaction: hence the first line.
pragma foreign_keys = off;

begin immediate;

create table job_new (
    id               integer not null primary key autoincrement,
    sweep            integer not null,
    model            text             references model (id),
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
    process          text,
    check ((state = 'running') = (owner is not null)),
    check ((state = 'running') = (lease_until is not null))
) strict;

insert into job_new select * from job;

drop table job;

alter table job_new rename to job;

create index job_by_state on job (state, id);
create index job_by_revision on job (revision);

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

commit;

pragma foreign_keys = on;
