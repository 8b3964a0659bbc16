"""Renderers of the audit's figures: text.py for a terminal, html.py and page.html for a browser.

They take AuditFigures and return strings. The pictures of the page are those of ``levinv.plot``.
screen.py is what ``print`` shows.
text.py also holds the sentences and the rows of tables that the page shares.
"""
