"""Files of the source that did not become samples, where somebody asks for them."""

import streamlit as st

from learnability.datasets import Dataset
from learnability.errors import LearnabilityError
from ui import data, words


def draw(opened: Dataset) -> None:
    """Each rejected file with its reason; read only while it is open."""
    if not (count := opened.info.get("rejects", 0)):
        return
    told = st.expander(f"{words.count(count, 'rejected file')}, each with its reason", key="rejects-open", on_change="rerun")
    if told.open:
        with told:
            try:
                table = data.rejects(opened)
            except LearnabilityError as error:
                st.text(str(error))
            else:
                st.dataframe(
                    table.rename_columns(["File", "Reason"]), hide_index=True, key="rejects-table", alt="Rejected files and why",
                    height="content" if table.num_rows <= 15 else 480,
                )  # fmt: skip
                st.caption("The same stands in rejects.parquet of the data set. Repair or remove them and prepare the folder again.")
