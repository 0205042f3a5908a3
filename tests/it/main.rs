mod admin;
mod admin_state;
