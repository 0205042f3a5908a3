mod export;
mod export_collector;
