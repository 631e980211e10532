"""Graphics of the pages, drawn by the server as SVG: shapes only, coloured by classes; texts beside them are HTML."""
