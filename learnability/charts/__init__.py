"""Tables in, Plotly figures out: used by the dashboard and by the report. No Streamlit, no statistics.

Every axis carries name, unit and direction, given by the caller. Texts that come from the data are escaped here.
"""
