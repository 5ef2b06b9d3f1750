-- Answers to questions: the files answers/N.json and answers/N.csv of job N, with the checksums that they were written with.
create table answer (
    job  integer not null primary key references job (id),
    json text    not null,
    csv  text    not null
) strict;
