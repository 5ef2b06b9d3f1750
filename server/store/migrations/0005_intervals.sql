-- How sure a measured value is, and how often a dictionary's features fire, each as the JSON of the api's type; null where that was
-- not measured.
alter table metric add column interval text;
alter table dictionary add column density text;
