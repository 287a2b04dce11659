"""The tables of QĐ 130/QĐ-BYT (amended by 4750 and 3176): which field goes where, and how each table becomes FHIR."""
