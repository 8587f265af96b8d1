//! The cases; each name is what must hold.

mod files;
mod host;
mod life;
mod network;
mod reduced;
mod rights;
mod trees;

use super::place::Place;

pub(crate) type Case = (&'static str, fn(&Place));

macro_rules! cases {
    ($($module:ident::$name:ident,)*) => { &[$((stringify!($name), $module::$name)),*] };
}

pub(crate) const ALL: &[Case] = cases![
    rights::the_program_is_the_rooms_user_and_nobody_on_the_host,
    rights::no_capability_and_no_new_one,
    rights::the_hosts_tree_is_gone,
    rights::every_namespace_but_the_networks_is_the_rooms_own,
    rights::only_the_named_mounts_are_there,
    rights::the_kernel_cannot_be_switched,
    rights::a_file_of_roots_stays_unread,
    rights::a_new_user_namespace_is_refused,
    rights::threads_start_although_clone3_is_refused,
    rights::the_hosts_executable_is_out_of_reach,
    rights::the_hosts_executable_cannot_be_changed_by_running_it,
    rights::devices_are_the_harmless_ones,
    rights::an_abstract_socket_of_the_host_does_not_answer,
    life::what_the_room_leaves_behind_is_dead_after_wait,
    life::dropping_a_room_kills_it,
    life::a_room_that_never_begins_leaves_nothing,
    life::a_killed_caller_takes_its_room_along,
    life::a_thread_that_started_a_room_may_end,
    life::rooms_of_many_threads_do_not_meet,
    life::the_exit_status_is_told_exactly,
    life::a_shell_has_the_terminal_and_the_caller_gets_it_back,
    life::signals_are_passed_on_and_told,
    life::orphans_are_reaped,
    life::a_missing_program_is_told_from_a_missing_loader,
    life::a_program_without_a_slash_is_found_in_path,
    life::streams_are_where_they_were_asked_for,
    life::no_descriptor_leaks_in,
    life::bytes_of_any_kind_arrive,
    life::a_failing_step_names_itself_and_its_path,
    files::the_source_is_changed_in_the_overlay_only,
    files::an_overlay_is_for_room_after_room_and_none_waits_for_the_disk,
    files::anybodys_source_is_the_rooms_users,
    files::whiteouts_hide,
    files::sixty_lowers_are_stacked_in_order,
    files::an_upper_directory_stays_and_can_be_used_again,
    files::what_was_given_to_the_user_stays_the_users,
    files::a_writable_bind_is_written_through,
    files::the_callers_umask_is_not_seen,
    files::a_read_only_bind_is_not,
    files::a_file_is_there_with_its_mode,
    files::a_link_does_not_lead_a_mount_out,
    files::an_empty_root_has_nothing_of_the_host,
    network::without_network_there_is_loopback_only,
    network::an_own_network_can_be_joined_from_outside,
    network::an_outward_network_has_no_way_to_link_local_addresses,
    network::the_hosts_resolver_is_there_with_the_hosts_network,
    trees::a_tree_of_any_modes_and_depth_is_removed,
    trees::links_are_removed_and_not_followed,
    trees::own_dir_opens_what_was_closed,
    host::a_machine_that_allows_is_told_so,
    host::a_limit_of_namespaces_is_named_with_its_cure,
    host::root_of_a_container_without_rights_has_reduced_isolation,
    host::root_that_may_not_even_chroot_is_told_what_to_do,
    host::a_masked_proc_is_named,
];

/// Those that only root can set up.
pub(crate) const ROOTS: &[&str] = &[
    "a_file_of_roots_stays_unread",
    "root_of_a_container_without_rights_has_reduced_isolation",
    "root_that_may_not_even_chroot_is_told_what_to_do",
];

/// What holds for rooms of reduced isolation, which root alone can have: much of the above, and what is theirs.
pub(crate) const REDUCED: &[Case] = cases![
    reduced::the_program_is_a_user_that_nothing_else_is,
    reduced::the_way_out_is_shut,
    reduced::a_trees_files_are_linked_only_where_the_room_cannot_change_them,
    reduced::changes_are_those_that_full_isolation_leaves,
    reduced::changes_are_seen_by_the_next_room,
    reduced::a_writable_bind_is_the_directory_itself_and_comes_back,
    reduced::a_writable_bind_comes_back_however_the_room_ends,
    reduced::what_a_place_hid_comes_back,
    reduced::a_link_that_the_room_left_leads_nobody_out,
    reduced::rooms_of_one_user_wait_for_each_other,
    reduced::what_begins_another_before_it_ends_is_dead_too,
    reduced::without_network_no_socket_leads_out,
    reduced::a_network_of_its_own_is_refused,
    reduced::what_was_given_for_one_isolation_is_given_again_for_the_other,
    reduced::nothing_of_a_room_is_left,
    rights::threads_start_although_clone3_is_refused,
    rights::an_abstract_socket_of_the_host_does_not_answer,
    life::what_the_room_leaves_behind_is_dead_after_wait,
    life::dropping_a_room_kills_it,
    life::a_room_that_never_begins_leaves_nothing,
    life::a_killed_caller_takes_its_room_along,
    life::a_thread_that_started_a_room_may_end,
    life::rooms_of_many_threads_do_not_meet,
    life::the_exit_status_is_told_exactly,
    life::signals_are_passed_on_and_told,
    life::a_missing_program_is_told_from_a_missing_loader,
    life::a_program_without_a_slash_is_found_in_path,
    life::bytes_of_any_kind_arrive,
    life::a_failing_step_names_itself_and_its_path,
    files::the_source_is_changed_in_the_overlay_only,
    files::whiteouts_hide,
    files::sixty_lowers_are_stacked_in_order,
    files::an_upper_directory_stays_and_can_be_used_again,
    files::the_callers_umask_is_not_seen,
    files::a_link_does_not_lead_a_mount_out,
    trees::a_tree_of_any_modes_and_depth_is_removed,
    trees::own_dir_opens_what_was_closed,
];
