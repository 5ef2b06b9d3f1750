-- How a dictionary's stored metrics compared with those computed again from its weights, as the JSON of the api's type; null
-- where nobody has looked, and once there are new metrics.
alter table dictionary add column verified text;
