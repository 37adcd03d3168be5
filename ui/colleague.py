"""The HTML report on a data set, as a download."""

import streamlit as st

from learnability.datasets import Dataset
from ui import data


def draw(opened: Dataset) -> None:
    st.subheader("One page for a colleague", anchor=False)
    st.markdown(
        "Class balance, the most suspicious labels with their pictures, what was decided, how well errors are found, and how far the "
        "networks agree: one HTML file that opens without a server."
    )
    st.download_button(
        "Report", lambda: report(opened.name), f"report-{opened.name}.html", "text/html", key="download-report", on_click="ignore",
        icon=":material/description:",
    )  # fmt: skip
    st.code(f"python -m learnability report --data {opened.name}", language="bash", wrap_lines=True)


def report(name: str) -> bytes:
    """Made when it is asked for."""
    from learnability.report.colleague import colleague_report

    return colleague_report(data.cache(), name).encode()
